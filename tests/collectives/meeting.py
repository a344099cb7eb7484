"""Members of a simulated process group: nbgrad's real rounds over a machine's memory, with data of a word per element."""

from nbgrad.collectives import rounds
from nbgrad.shm.layout import SLOT_BYTES

BASE = 1 << 20  # the segment
MEETS, BOXES, SHARED, ARRAYS = (
    BASE + (1 << 16),
    BASE + (1 << 17),
    BASE + (1 << 18),
    BASE + (1 << 19),
)
BOX_BYTES = 32  # of a half: four words
COMBINE, FINISH = 8, 16  # addresses that stand for functions
WHAT = 100


class Op:
    """One operation of all members: `n` words each; `differs` is the member that runs another one."""

    def __init__(self, kind, n=1, root=0, offers=(), differs=-1):
        self.kind, self.n, self.root, self.offers, self.differs = kind, n, root, offers, differs

    def pieces(self, world):
        return world if self.kind in ("scatter", "reduce_scatter", "all_to_all") else 1

    def value(self, member, step, piece, k):
        """Word k of a piece that a member shows in a step."""
        return 10_000 * (step + 1) + 1000 * (member + 1) + 100 * piece + k + 1

    def expected(self, me, world, step):
        """Words that a member must have at the end; None: whatever."""
        n, value = self.n, self.value
        if self.kind in ("all_reduce", "shared"):
            return [sum(value(p, step, 0, k) for p in range(world)) for k in range(n)]
        if self.kind == "reduce":
            whole = [sum(value(p, step, 0, k) for p in range(world)) for k in range(n)]
            return whole if me == self.root else None
        if self.kind == "broadcast":
            return [value(self.root, step, 0, k) for k in range(n)]
        if self.kind == "scatter":
            return [value(self.root, step, me, k) for k in range(n)]
        if self.kind == "reduce_scatter":
            return [sum(value(p, step, me, k) for p in range(world)) for k in range(n)]
        if self.kind == "all_gather":
            return [value(p, step, 0, k) for p in range(world) for k in range(n)]
        if self.kind == "all_to_all":
            return [value(p, step, me, k) for p in range(world) for k in range(n)]
        return None


MOVES = {
    "barrier": rounds.NOTHING,
    "broadcast": rounds.ONE,
    "scatter": rounds.ONE,
    "all_gather": rounds.ALL,
    "all_to_all": rounds.ALL,
    "all_reduce": rounds.FUSED,
    "reduce": rounds.FUSED,
    "reduce_scatter": rounds.REDUCE,
    "shared": rounds.SLICE,
}


class Member:
    """One member's private block, and the loop that drives an operation."""

    def __init__(self, machine, me, world, seq=1):
        self.machine, self.me, self.world = machine, me, world
        self.real = machine.of(rounds)
        self.g = machine.allocate(rounds.BLOCK_BYTES)
        self.scratch = machine.allocate(rounds.TILE)
        self.put(rounds.SEGMENT, BASE)
        self.put(rounds.OWN, BASE + me * SLOT_BYTES)
        self.put(rounds.MEMBERS, world)
        self.put(rounds.ME, me)
        self.put(rounds.MEET, MEETS + 64 * me)
        self.put(rounds.BOX, BOXES + 1024 * me)
        self.put(rounds.BOX_BYTES, BOX_BYTES)
        self.put(rounds.SCRATCH, self.scratch)
        self.put(rounds.SEQ, seq)
        self.put(rounds.ITEM, 8)
        for p in range(world):
            self.put(rounds.SLOT + 8 * p, BASE + p * SLOT_BYTES)
            self.put(rounds.MEETS + 8 * p, MEETS + 64 * p)

    def put(self, offset, value):
        self.machine.private[self.g + offset] = value

    def get(self, offset):
        return self.machine.private.get(self.g + offset, 0)

    def load(self, op, step):
        """Make it the operation under way; the address of its result."""
        me, world, machine = self.me, self.world, self.machine
        size, pieces = 8 * op.n, op.pieces(world)
        shows = op.kind not in ("barrier",) and (
            op.kind not in ("broadcast", "scatter") or me == op.root
        )
        large = bool(op.offers)
        place = ARRAYS + 4096 * me if large and me in op.offers else machine.allocate(4096)
        offset = place - BASE
        if shows:
            for piece in range(pieces):
                for k in range(op.n):
                    machine.write(place + piece * size + 8 * k, op.value(me, step, piece, k))
        in_place = op.kind in ("all_reduce", "reduce", "broadcast")
        out = place if in_place else machine.allocate(4096)
        move, offer = MOVES[op.kind], 0
        if op.kind == "broadcast" and me == op.root:
            move = rounds.NOTHING
        if large:
            offer = -1 if not shows else offset if me in op.offers else 0
        fused = op.kind in ("all_reduce", "reduce")
        for name, value in (
            (rounds.WHAT, WHAT + (1 if op.differs == me else 0)),
            (rounds.ND, 1),
            (rounds.DIMS, op.n),
            (rounds.SHOWS, int(shows)),
            (rounds.PIECES, pieces),
            (rounds.PIECE, 0 if op.kind == "barrier" else size),
            (rounds.STRIDE, min(BOX_BYTES // pieces & -8, size)),
            (rounds.START, 0),
            (rounds.MOVE, move),
            (rounds.ROOT, op.root if op.kind != "all_reduce" else -1),
            (rounds.COMBINE, COMBINE),
            (rounds.FINISH, 0),
            (rounds.OFFER, offer),
            (rounds.SHARED, SHARED - BASE if op.kind == "shared" and me == 0 else 0),
            (rounds.KEEPER, 0),
            (rounds.TRAILS, int(op.kind == "shared")),
            (rounds.OUT, 0 if op.kind == "reduce" and me != op.root else out),
            (rounds.PHASE, rounds.OFFERING if large else rounds.CHUNKS),
            (rounds.STAGE, rounds.TO_SHOW),
        ):
            self.put(name, value)
        assert fused or move != rounds.FUSED
        for p in range(world):
            self.put(rounds.IN + 8 * p, place + p * size)
            self.put(rounds.IN_BYTES + 8 * p, size)
            self.put(rounds.OFFERS + 8 * p, offset + p * size)
            if p > 0:
                self.put(rounds.OUT + 8 * p, out + p * size)
            self.put(rounds.OUT_BYTES + 8 * p, size)
        return SHARED if op.kind == "shared" else out

    def run(self, op, step):
        """Run an operation: (what ended it, the words of its result)."""
        out = self.out = self.load(op, step)
        self.n_words = op.n * self.world
        self.step = step
        while (result := self.real.advance(self.g, 0, 0, 1)) == rounds.RUNNING:
            if self.machine.dead:
                return None, []
        n = op.n * (self.world if op.kind in ("all_gather", "all_to_all") else 1)
        return result, [self.machine.read(out + 8 * k) for k in range(n)]

    def wait(self):
        """`wait_all` without futexes: states in which a member waits are fewer, since no counters of sleepers tell them apart."""
        machine, private = self.machine, self.machine.private
        while True:
            words = [private.get(self.out + 8 * k, 0) for k in range(self.n_words)]
            position = [self.get(name) for name in (rounds.SEQ, rounds.PHASE, rounds.START)]
            machine.here("waits", self.me, self.step, *position, *words)
            seen = machine.written()
            if self.real.all_here(self.g):
                return 1
            if machine.dead:
                return 0
            machine.wait_written(seen)


def combine(machine):
    """What the reducers do, a word at a time."""

    def run(out, a, b, count, mode, *rest):
        for k in range(count):
            first = a if mode == rounds.COMBINING else out
            total = machine.read(first + 8 * k) + machine.read(b + 8 * k)
            machine.write(out + 8 * k, total)
        return 0

    return run


def meeting(world, ops, light=False):
    """A program for explore and hammer: all members run all operations; `light`: waiting for them without futexes."""

    def program(machine):
        members = {}
        if light:
            machine.constants["wait_all"] = lambda g, *rest: machine.members[g].wait()
        machine.members = members
        machine.functions[COMBINE] = combine(machine)
        for p in range(world):
            name = machine.name_region
            for half in range(2):
                line = BASE + p * SLOT_BYTES + half * rounds.LINE_BYTES
                name(line, 8, f"round of {p}, half {half}")
                name(line, rounds.LINE_BYTES, f"line of {p}, half {half}")
            name(BASE + p * SLOT_BYTES, SLOT_BYTES, f"slot of {p}")
            name(MEETS + 64 * p, 8, f"meet of {p}")
            name(BOXES + 1024 * p, 1024, f"box of {p}")
            name(ARRAYS + 4096 * p, 4096, f"array of {p}")
        name(SHARED, 4096, "shared result")
        ended = []

        def body(me):
            member = Member(machine, me, world)
            members[member.g] = member
            for step, op in enumerate(ops):
                machine.here(me, step)
                result, found = member.run(op, step)
                if result is None:
                    return
                if op.differs >= 0:
                    assert result == rounds.DIFFERENT, f"{me} saw no difference in {step}"
                    other = member.get(rounds.OTHER)
                    assert other == (op.differs or 1), f"{me} blames {other}"
                    continue
                assert result == rounds.COMPLETE
                expected = op.expected(me, world, step)
                assert expected is None or found == expected, f"{me}, step {step}: {found}"
            ended.append(me)

        for me in range(world):
            machine.spawn(f"member{me}", lambda me=me: body(me))

        def check():
            if not machine.dead:
                assert sorted(ended) == list(range(world))

        return check

    return program
