"""The primitives of nbgrad.jit over a simulated machine: each a Python function that does what `compile.lower` makes of it."""

SIGN, WRAP = 1 << 63, 1 << 64
PRIVATE = 1 << 44  # addresses from here on belong to one thread
FUTEX_WAIT = 0
EAGAIN = 11


def signed(value):
    return ((value + SIGN) & (WRAP - 1)) - SIGN


def part(word, address, bits):
    """The value at an address inside its word."""
    if bits == 64:
        return word
    return (word >> 8 * (address & 7)) & ((1 << bits) - 1)


def merged(word, address, bits, value):
    """The word with a value put in at an address."""
    if bits == 64:
        return value if -SIGN <= value < SIGN else signed(value)
    shift, mask = 8 * (address & 7), (1 << bits) - 1
    return signed((word & ~(mask << shift)) | ((value & mask) << shift))


def primitive(machine, p):
    """The Python function for the description `p`."""
    makers = {
        "peek": peek,
        "poke": poke,
        "load": atomic,
        "store": atomic,
        "rmw": atomic,
        "cas": atomic,
        "copy": copy,
    }
    if p.kind in makers:
        return makers[p.kind](machine, p)
    if p.kind in ("fence", "pause"):
        return lambda: None
    if p.kind == "scratch":
        return lambda: machine.allocate(256)
    if p.kind == "pointer":
        return lambda function, *args: machine.functions[function](*args)
    if p.kind == "external":
        return external(machine, p.name)
    raise NotImplementedError(f"{p} in a simulated kernel")


def plain_access(machine, address, writes):
    """Checks and notes of a plain access to shared memory; the word's number."""
    word = address >> 3
    me = machine.current
    if me is not None:
        if machine.plain:
            machine.point(word, writes)
        ordered(machine, me, address, writes, True)
    return word


def ordered(machine, me, address, writes, plain):
    try:
        machine.clocks.access(me.number, address >> 3, writes, plain)
    except AssertionError as race:
        verb = "write of" if writes else "read of"
        others = str(race)
        for thread in machine.threads:
            others = others.replace(f"thread {thread.number}", thread.name)
        machine.broken = f"race: {verb} {machine.name(address)} is {others}"
        raise type(race)(machine.broken) from None


def peek(machine, p):
    bits, private = p.bits, machine.private

    def run(address):
        if address >= PRIVATE:
            found = private.get(address & -8, 0)
            return found if bits == 64 else part(found, address, bits)
        value = part(machine.get(plain_access(machine, address, False)), address, bits)
        if machine.current:
            machine.current.history = hash((machine.current.history, value))
            if machine.tracing:
                machine.note(p.name, address, f"-> {value}")
        return value

    return run


def poke(machine, p):
    bits, private = p.bits, machine.private

    def run(address, value):
        if address >= PRIVATE:
            where = address & -8
            private[where] = (
                value if bits == 64 else merged(private.get(where, 0), address, bits, value)
            )
            return
        word = plain_access(machine, address, True)
        machine.put(word, merged(machine.get(word), address, bits, value))
        if machine.current:
            machine.current.history = hash((machine.current.history, "poke"))
            if machine.tracing:
                machine.note(p.name, address, f"= {value}")

    return run


CHANGES = {
    "add": lambda old, value: old + value,
    "or": lambda old, value: old | value,
    "and": lambda old, value: old & value,
    "xchg": lambda old, value: value,
}
ACQUIRES, RELEASES = {"seq_cst", "acquire", "acq_rel"}, {"seq_cst", "release", "acq_rel"}


def atomic(machine, p):
    bits, kind, order = p.bits, p.kind, p.order
    writes = kind != "load"
    reads = kind != "store"
    change = CHANGES.get(p.op)

    def run(address, *args):
        assert address % (bits // 8) == 0, f"{p.name} at {address:#x}: not aligned"
        assert address < PRIVATE, f"{p.name} of private memory"
        word = address >> 3
        machine.point(word, writes)
        me, there = machine.current, machine.get(word)
        old = part(there, address, bits)
        stores = writes
        if kind == "cas":
            stores = old == (args[0] if bits == 64 else args[0] & ((1 << bits) - 1))
            new = args[1] if stores else old
        elif kind == "load":
            new = old
        else:
            new = args[0] if kind == "store" else change(old, args[0])
        if me is not None:
            ordered(machine, me, address, stores, False)
            clocks = machine.clocks
            if reads and order in ACQUIRES:
                clocks.acquire(me.number, address)
            if stores:
                if order in RELEASES:
                    if reads:  # a read-modify-write goes on with the release sequence
                        clocks.acquire(me.number, address)
                    clocks.release(me.number, address)
                elif kind == "store":
                    clocks.wipe(address)
            me.history = hash((me.history, old if reads else "store"))
            if machine.tracing:
                text = (
                    f"-> {old}"
                    if kind == "load"
                    else f"{old} -> {part(merged(there, address, bits, new), address, bits)}"
                )
                machine.note(p.name, address, text)
        if stores:
            machine.put(word, merged(there, address, bits, new))
            if word in machine.watches:
                machine.watches[word](machine.get(word))
        return old if reads else None

    return run


def copy(machine, p):
    """Bytes from one place to another, word by word; both ends are 8-byte aligned in nbgrad's use of it."""
    private = machine.private

    def run(target, source, n_bytes):
        assert target % 8 == source % 8 == 0
        for at in range(0, n_bytes, 8):
            bits = 8 * min(8, n_bytes - at)
            if source + at >= PRIVATE:
                value = private.get(source + at, 0)
            else:
                value = machine.get(plain_access(machine, source + at, False))
            if target + at >= PRIVATE:
                private[target + at] = merged(private.get(target + at, 0), 0, bits, value)
            else:
                word = plain_access(machine, target + at, True)
                machine.put(word, merged(machine.get(word), 0, bits, value))
            if machine.current:
                machine.current.history = hash((machine.current.history, value))
        if machine.tracing and machine.current:
            machine.note("copy_bytes", target if target < PRIVATE else source, f"{n_bytes} bytes")

    return run


def external(machine, name):
    """C functions: the futex here, those on Python's objects in objects.py."""
    if name == "syscall":
        return lambda number, address, operation, value, *rest: futex(
            machine, address, operation, value
        )
    if name == "__errno_location":
        return lambda: machine.errno
    if name == "PyEval_SaveThread":
        return machine.save_thread
    if name == "PyEval_RestoreThread":
        return machine.restore_thread
    if name in ("sched_yield", "Py_IncRef", "Py_DecRef"):
        return lambda *args: 0

    def run(*args):
        return machine.externals[name](*args)

    return run


def futex(machine, address, operation, value):
    """Compare and sleep, or wake: each is one step."""
    waits = operation == FUTEX_WAIT
    machine.point(address >> 3, not waits)
    me = machine.current
    if not waits:
        woken = machine.wake(address, value)
        if machine.tracing:
            machine.note("futex wake", address, f"{woken} woken")
        if me:
            me.history = hash((me.history, woken))
        return woken
    found = part(machine.get(address >> 3), address, 32)
    result = EAGAIN if found != value & 0xFFFFFFFF else None
    if machine.tracing:
        machine.note("futex wait", address, "sleeps" if result is None else f"finds {found}")
    if result is None:
        result = machine.sleep(address)
    machine.errno = machine.allocate(8)
    machine.private[machine.errno] = result
    me.history = hash((me.history, result))
    return 0 if result == 0 else -1
