"""The native wrapper of a kernel: unpack and check Python arguments, call the kernel, all in one METH_FASTCALL function.

Written as LLVM text: it depends only on the signature string, so kernels of one signature share one wrapper and the
kernel of the right dtype is called through a pointer in the block (Note [Block]).

Note [Block]
~~~~~~~~~~~~
Words of a kernel's block (Note [Fast calls] in machine.py):
  0 None   1 ndarray type   2 slow road (a callable)   3 GIL threshold in elements (-1: always release)
  4,5 float32 dtype and kernel   6,7 float64 dtype and kernel   8 int64 dtype   9 bool dtype   10 uint8 dtype
  11 PyArray_Empty (makers only)
A kernel address of 0 means: not compiled yet.  Whatever does not fit takes the slow road with the same arguments,
which compiles, converts or raises.
"""

from functools import cache

NONE, NDARRAY, SLOW, THRESHOLD, FLAVOURS, INT64, BOOL, UINT8, EMPTY, SIZE = (
    0,
    1,
    2,
    3,
    4,
    8,
    9,
    10,
    11,
    12,
)
C_CONTIGUOUS, WRITEABLE = 0x1, 0x400
MADE_BYTES = 65536  # larger results are not made natively: the allocator may want them elsewhere

HEAD = """
declare i64 @PyLong_AsLongLong(ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyLong_FromLongLong(i64)
declare void @Py_IncRef(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare i32 @memcmp(ptr, ptr, i64)
"""


def parse(signature: str):
    """'aa>a=d' -> ([('a', False), ('a', False), ('a', True)], 'd')."""
    letters, _, result = signature.partition("=")
    arguments, written = [], False
    for letter in letters:
        if letter == ">":
            written = True
            continue
        if letter not in "aAkunfd":
            raise ValueError(f"kernel signature {signature!r}: unknown letter {letter!r}")
        arguments.append((letter, written))
        written = False
    if result not in ("", "d", "n"):
        raise ValueError(f"kernel signature {signature!r}: result must be =d or =n")
    return arguments, result


class Text:
    """Lines of LLVM with fresh names."""

    def __init__(self):
        self.lines, self.n = [], 0

    def add(self, line):
        self.lines.append("  " + line)

    def new(self, expression):
        self.n += 1
        self.add(f"%v{self.n} = {expression}")
        return f"%v{self.n}"

    def label(self, name):
        self.lines.append(f"{name}:")

    def word(self, base, offset_bytes, kind="i64"):
        where = self.new(f"getelementptr i8, ptr {base}, i64 {offset_bytes}")
        return self.new(f"load {kind}, ptr {where}")

    def unless(self, condition, target):
        """Go to `target` unless the condition holds."""
        self.n += 1
        self.add(f"br i1 {condition}, label %go{self.n}, label %{target}")
        self.label(f"go{self.n}")


@cache
def wrapper_text(signature: str, symbol: str, makes: bool = False) -> str:
    """LLVM text of the wrapper for `signature`.

    With `makes` the arrays that are written are not arguments: they are made here, in the shape and dtype of the
    first array, and returned (maker.py).
    """
    arguments, result = parse(signature)
    t = Text()
    block = t.word("%self", 16, "ptr")
    n_given = sum(not (makes and written) for _, written in arguments)
    t.unless(t.new(f"icmp eq i64 %nargs, {n_given}"), "slow")
    has_arrays = any(letter in "aA" for letter, _ in arguments)
    values, first, size0, flavour, like, given = [], None, "0", None, None, 0
    for k, (letter, written) in enumerate(arguments):
        if makes and written:
            values.append(None)  # made below, when nothing can go wrong any more
            continue
        p = t.word("%args", 8 * given, "ptr")
        given += 1
        if letter in "aAku":
            kind = t.word(p, 8)
            t.unless(t.new(f"icmp eq i64 {kind}, {t.word(block, 8 * NDARRAY)}"), "slow")
            dtype = t.word(p, 56)
            if letter in "aA":
                if flavour is None:
                    flavour = dtype
                t.unless(t.new(f"icmp eq i64 {dtype}, {flavour}"), "slow")
            elif letter == "k":
                t.unless(t.new(f"icmp eq i64 {dtype}, {t.word(block, 8 * INT64)}"), "slow")
            else:
                is_bool = t.new(f"icmp eq i64 {dtype}, {t.word(block, 8 * BOOL)}")
                is_byte = t.new(f"icmp eq i64 {dtype}, {t.word(block, 8 * UINT8)}")
                t.unless(t.new(f"or i1 {is_bool}, {is_byte}"), "slow")
            wanted = C_CONTIGUOUS | (WRITEABLE if written else 0)
            flags = t.new(f"and i32 {t.word(p, 64, 'i32')}, {wanted}")
            t.unless(t.new(f"icmp eq i32 {flags}, {wanted}"), "slow")
            if makes and letter in "aA":
                if like is None:
                    like = p
                elif letter == "a":
                    check_shape(t, p, like)
            size = size_of(t, p, k)
            if letter == "a":
                if first is None:
                    first = size
                else:
                    t.unless(t.new(f"icmp eq i64 {size}, {first}"), "slow")
            if size0 == "0":
                size0 = size
            item = {"k": 8, "u": 1}.get(letter, 0)
            values.append(("array", t.word(p, 16, "ptr"), size, item))
        elif letter == "n":
            value = t.new(f"call i64 @PyLong_AsLongLong(ptr {p})")
            check_error(t, f"icmp ne i64 {value}, -1")
            values.append(("i64", value))
        else:
            value = t.new(f"call double @PyFloat_AsDouble(ptr {p})")
            check_error(t, f"fcmp une double {value}, -1.0")
            values.append(("float" if letter == "f" else "double", value))
    if has_arrays:
        single = t.new(f"icmp eq i64 {flavour}, {t.word(block, 8 * FLAVOURS)}")
        double = t.new(f"icmp eq i64 {flavour}, {t.word(block, 8 * FLAVOURS + 16)}")
        t.unless(t.new(f"or i1 {single}, {double}"), "slow")
        offset = t.new(f"select i1 {single}, i64 {8 * FLAVOURS + 8}, i64 {8 * FLAVOURS + 24}")
        item = t.new(f"select i1 {single}, i64 4, i64 8")
    else:
        single, offset, item = "true", str(8 * FLAVOURS + 8), "8"
    where = t.new(f"getelementptr i8, ptr {block}, i64 {offset}")
    kernel = t.new(f"load ptr, ptr {where}")
    t.unless(t.new(f"icmp ne ptr {kernel}, null"), "slow")
    made = make_arrays(t, block, values, like, flavour, size0, item) if makes else []
    threshold = t.word(block, 8 * THRESHOLD)
    release = t.new(f"icmp sgt i64 {size0}, {threshold}")
    t.add(f"br i1 {release}, label %release, label %enter")
    t.label("release")
    t.add("%thread = call ptr @PyEval_SaveThread()")
    t.add("store ptr %thread, ptr %saved")
    t.add("br label %enter")
    t.label("enter")
    t.add(f"br i1 {single}, label %single, label %double")
    for name, kind, width in (("single", "float", 4), ("double", "double", 8)):
        t.label(name)
        call_kernel(t, kernel, values, kind, width)
        t.add("br label %leave")
    t.label("leave")
    t.add(f"br i1 {release}, label %retake, label %out")
    t.label("retake")
    t.add("%thread2 = load ptr, ptr %saved")
    t.add("call void @PyEval_RestoreThread(ptr %thread2)")
    t.add("br label %out")
    t.label("out")
    if len(made) == 1:
        t.add(f"ret ptr {made[0]}")
    elif made:
        pair = t.new(f"call ptr @PyTuple_New(i64 {len(made)})")
        t.unless(t.new(f"icmp ne ptr {pair}, null"), "failed")
        for k, array in enumerate(made):
            t.new(f"call i32 @PyTuple_SetItem(ptr {pair}, i64 {k}, ptr {array})")
        t.add(f"ret ptr {pair}")
    elif result == "d":
        t.add(
            f"ret ptr {t.new('call ptr @PyFloat_FromDouble(double ' + t.new('load double, ptr %result') + ')')}"
        )
    elif result == "n":
        t.add(
            f"ret ptr {t.new('call ptr @PyLong_FromLongLong(i64 ' + t.new('load i64, ptr %result') + ')')}"
        )
    else:
        none = t.word(block, 8 * NONE, "ptr")
        t.add(f"call void @Py_IncRef(ptr {none})")
        t.add(f"ret ptr {none}")
    t.label("slow")
    t.add(f"%road = load ptr, ptr {slow_slot(t, block)}")
    t.add("%answer = call ptr @PyObject_Vectorcall(ptr %road, ptr %args, i64 %nargs, ptr null)")
    t.add("ret ptr %answer")
    t.label("failed")
    t.add("ret ptr null")
    body = "\n".join(t.lines)
    return (
        f"{HEAD}\ndefine ptr @{symbol}(ptr %self, ptr %args, i64 %nargs) {{\n"
        "  %result = alloca i64\n  %exception = alloca ptr\n  %saved = alloca ptr\n"
        "  %size = alloca i64\n  %dim = alloca i64\n"
        f"{body}\n}}\n"
    )


def check_shape(t, array, like):
    """Go slow unless both arrays have the same dims."""
    nd, nd0 = t.word(array, 24, "i32"), t.word(like, 24, "i32")
    t.unless(t.new(f"icmp eq i32 {nd}, {nd0}"), "slow")
    length = t.new(f"mul i64 {t.new(f'sext i32 {nd} to i64')}, 8")
    dims, dims0 = t.word(array, 32, "ptr"), t.word(like, 32, "ptr")
    differ = t.new(f"call i32 @memcmp(ptr {dims}, ptr {dims0}, i64 {length})")
    t.unless(t.new(f"icmp eq i32 {differ}, 0"), "slow")


def make_arrays(t, block, values, like, flavour, size, item):
    """New arrays in the places of `values` that wait for one.  (When memory is out, earlier ones leak.)"""
    n_bytes = t.new(f"mul i64 {size}, {item}")
    t.unless(t.new(f"icmp slt i64 {n_bytes}, {MADE_BYTES}"), "slow")
    empty = t.word(block, 8 * EMPTY, "ptr")
    nd, dims = t.word(like, 24, "i32"), t.word(like, 32, "ptr")
    dtype = t.new(f"inttoptr i64 {flavour} to ptr")
    made = []
    for k, value in enumerate(values):
        if value is None:
            t.add(f"call void @Py_IncRef(ptr {dtype})")  # PyArray_Empty takes a reference
            array = t.new(f"call ptr {empty}(i32 {nd}, ptr {dims}, ptr {dtype}, i32 0)")
            t.unless(t.new(f"icmp ne ptr {array}, null"), "failed")
            values[k] = ("array", t.word(array, 16, "ptr"), size, 0)
            made.append(array)
    return made


def slow_slot(t, block):
    return t.new(f"getelementptr i8, ptr {block}, i64 {8 * SLOW}")


def check_error(t, fine):
    """PyX_As... return -1 both as a value and as an error: ask only then."""
    ok = t.new(fine)
    t.n += 1
    n = t.n
    t.add(f"br i1 {ok}, label %fine{n}, label %ask{n}")
    t.label(f"ask{n}")
    error = t.new("call ptr @PyErr_Occurred()")
    none = t.new(f"icmp eq ptr {error}, null")
    t.add(f"br i1 {none}, label %fine{n}, label %failed")
    t.label(f"fine{n}")


def size_of(t, array, k):
    """Product of the dims.  The loop lives in stack slots; LLVM turns them into registers."""
    nd = t.new(f"sext i32 {t.word(array, 24, 'i32')} to i64")
    dims = t.word(array, 32, "ptr")
    for line in (
        "store i64 1, ptr %size",
        "store i64 0, ptr %dim",
        f"br label %count{k}",
        f"count{k}:",
        f"%d{k} = load i64, ptr %dim",
        f"%more{k} = icmp slt i64 %d{k}, {nd}",
        f"br i1 %more{k}, label %multiply{k}, label %counted{k}",
        f"multiply{k}:",
        f"%a{k} = getelementptr i64, ptr {dims}, i64 %d{k}",
        f"%l{k} = load i64, ptr %a{k}",
        f"%s{k} = load i64, ptr %size",
        f"%m{k} = mul i64 %s{k}, %l{k}",
        f"store i64 %m{k}, ptr %size",
        f"%n{k} = add i64 %d{k}, 1",
        f"store i64 %n{k}, ptr %dim",
        f"br label %count{k}",
        f"counted{k}:",
    ):
        t.label(line[:-1]) if line.endswith(":") else t.add(line)
    return t.new("load i64, ptr %size")


def call_kernel(t, kernel, values, kind, width):
    """One call in Numba's convention (compile.py)."""
    parts = ["ptr %result", "ptr %exception"]
    for value in values:
        if value[0] == "array":
            _, data, size, item = value
            item = item or width
            parts += [
                "ptr null",
                "ptr null",
                f"i64 {size}",
                f"i64 {item}",
                f"ptr {data}",
                f"i64 {size}",
                f"i64 {item}",
            ]
        elif value[0] == "float":
            number = t.new(f"fptrunc double {value[1]} to float") if kind == "float" else value[1]
            parts.append(f"{kind} {number}")
        else:
            parts.append(f"{value[0]} {value[1]}")
    t.add(f"call i32 {kernel}({', '.join(parts)})")
