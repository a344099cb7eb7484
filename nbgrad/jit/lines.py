"""Lines: native functions over arrays that go through memory a cache line at a time, and ask for the lines ahead of them.

    @lines(arrays=2, constants=1)
    def axpy(line):                       # runs once, while the text is made: an operator writes an instruction
        y, x = line.arrays
        (a,) = line.constants
        return {0: y + a * x}             # what is written: array 0

    axpy.address("float32")   # of a function (y, x, constants, n elements, 0, ...): eight int64, result 0
                              # n is a multiple of `unit`; arrays may lie at the same place, or apart; without constants
                              # n takes their place

The processor's own prefetching stops at each page, and follows few arrays at once.  Steps that read five arrays and write three
of them, which lie in no cache near by, wait for memory a third of their time without this (measured in perf/shared_step.py).
Sums and quotients are what the same formula gives element by element: nothing is reordered, contracted or approximated.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nbgrad.jit import llvm, machine, store
from nbgrad.jit.kernel import sources

LINE = 64  # bytes
AHEAD = 512  # bytes: how far ahead lines are asked for
LANES = 8
N_ARGS = 8
KINDS = {"float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Value:
    """LANES elements while the text is made."""

    body: "Body"
    name: str

    def __add__(self, other: "Value") -> "Value":
        return self.body.emit("fadd", self, other)

    def __sub__(self, other: "Value") -> "Value":
        return self.body.emit("fsub", self, other)

    def __mul__(self, other: "Value") -> "Value":
        return self.body.emit("fmul", self, other)

    def __truediv__(self, other: "Value") -> "Value":
        return self.body.emit("fdiv", self, other)

    def sqrt(self) -> "Value":
        body = self.body
        return body.named(f"call {body.vector} @{body.root}({body.vector} {self.name})")


@dataclass
class Body:
    """Instructions for LANES elements of each array."""

    vector: str  # LLVM's type of LANES elements
    root: str  # LLVM's name of their square root
    prefix: str
    arrays: list[Value] = field(default_factory=list)
    constants: list[Value] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def named(self, text: str) -> Value:
        """The value of an instruction."""
        name = f"%{self.prefix}v{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return Value(self, name)

    def emit(self, operation: str, a: Value, b: Value) -> Value:
        return self.named(f"{operation} {self.vector} {a.name}, {b.name}")


class Lines:
    """Such a function, one version per dtype; compiled when its address is first asked for, and kept in the object cache.

    Parameters
    ----------
    body : callable
        Body -> {number of an array: its new value}.
    arrays, constants : int
        How many arrays there are, and how many elements of the last one, which are the same for all, if there are any.
    ranges : int
        Each array is cut into so many, which are gone through side by side: more pages are on their way at once.
    streams : bool
        Array 0 is written past the caches and not read; it must begin at a multiple of 32 bytes, and whoever publishes it must
        run a fence first.
    """

    def __init__(
        self,
        body: Callable[[Body], dict[int, Value]],
        arrays: int,
        constants: int,
        ranges: int,
        streams: bool,
    ):
        functools.update_wrapper(self, body)
        self.body, self.arrays, self.constants = body, arrays, constants
        self.ranges, self.streams = ranges, streams
        assert arrays + 2 <= N_ARGS
        self.addresses: dict[str, int] = {}
        sources.append(self)

    def unit(self, dtype: str) -> int:
        """How many elements it takes is a multiple of this: a line of each range."""
        return self.ranges * LINE // np.dtype(dtype).itemsize

    def address(self, dtype: str) -> int:
        """Where the version for a dtype (a NumPy name) starts; 0: there is none."""
        if dtype not in self.addresses:
            found = 0
            if dtype in KINDS:
                obj = store.load_or_make(*self.stored(dtype))
                found = machine.load_object(obj, self.symbol(dtype))
            self.addresses[dtype] = found
        return self.addresses[dtype]

    def symbol(self, dtype: str) -> str:
        return f"{self.__module__}.{self.__qualname__}.lines.{dtype}"

    def stored(self, dtype: str):
        """Name of one version in the store, and a function that makes it."""
        text, symbol = self.text(dtype), self.symbol(dtype)

        def compiled() -> bytes:
            return machine.emit(llvm.parse_assembly(text), {symbol})

        return f"{symbol}-{store.digest(text.encode())}", compiled

    def objects(self):
        """What the store can hold of it: (name, function that makes it) of each."""
        yield from map(self.stored, KINDS)

    def text(self, dtype: str) -> str:
        """LLVM text of the function."""
        kind, align = KINDS[dtype], np.dtype(dtype).itemsize
        vector, step = f"<{LANES} x {kind}>", LINE // align
        root = f"llvm.sqrt.v{LANES}f{8 * align}"
        head, loop = [], []
        for k in range(self.constants):
            head += [
                f"  %cp{k} = getelementptr {kind}, ptr %x{self.arrays}, i64 {k}",
                f"  %cs{k} = load {kind}, ptr %cp{k}, align {align}",
                f"  %ci{k} = insertelement {vector} poison, {kind} %cs{k}, i32 0",
                f"  %c{k} = shufflevector {vector} %ci{k}, {vector} poison, <{LANES} x i32> zeroinitializer",
            ]
        asked: list[str] = []
        read = range(int(self.streams), self.arrays)
        for r, k in itertools.product(range(self.ranges), range(0, step, LANES)):
            body = Body(vector, root, f"b{r}{k}")
            body.constants = [Value(body, f"%c{c}") for c in range(self.constants)]
            loop.append(f"  %j{r}{k} = add i64 %i{r}, {k}")
            for x in range(self.arrays):
                loop.append(f"  %p{r}{k}{x} = getelementptr {kind}, ptr %x{x}, i64 %j{r}{k}")
                body.arrays.append(Value(body, f"%l{r}{k}{x}" if x in read else "poison"))
            loop += [f"  %l{r}{k}{x} = load {vector}, ptr %p{r}{k}{x}, align {align}" for x in read]
            results = self.body(body)
            loop += body.lines
            for x, value in results.items():
                how = f"align {align}" if x in read else f"align {LINE // 2}, !nontemporal !0"
                loop.append(f"  store {vector} {value.name}, ptr %p{r}{k}{x}, {how}")
            if k == 0:
                for x in read:
                    to_write = int(x in results)
                    asked += [
                        f"  %a{r}{x} = getelementptr i8, ptr %p{r}0{x}, i64 {AHEAD}",
                        f"  call void @llvm.prefetch.p0(ptr %a{r}{x}, i32 {to_write}, i32 3, i32 1)",
                    ]
        n = self.arrays + int(self.constants > 0)
        return "\n".join(
            [
                f"declare {vector} @{root}({vector})",
                "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
                f'define i64 @"{self.symbol(dtype)}"({", ".join(f"i64 %n{k}" for k in range(N_ARGS))}) {{',
                "entry:",
                *[f"  %x{k} = inttoptr i64 %n{k} to ptr" for k in range(n)],
                *head,
                f"  %share = udiv i64 %n{n}, {self.ranges}",
                "  %has = icmp sgt i64 %share, 0",
                "  br i1 %has, label %loop, label %done",
                "loop:",
                "  %i0 = phi i64 [0, %entry], [%next, %loop]",
                *[f"  %i{r} = add i64 %i{r - 1}, %share" for r in range(1, self.ranges)],
                *loop,
                *asked,
                f"  %next = add i64 %i0, {step}",
                "  %more = icmp slt i64 %next, %share",
                "  br i1 %more, label %loop, label %done",
                "done:",
                "  ret i64 0",
                "}",
                "!0 = !{i32 1}",
            ]
        )


def lines(arrays: int, constants: int = 0, ranges: int = 2, streams: bool = False) -> Callable:
    """Decorator; see the module's docstring, and the class."""
    return lambda body: Lines(body, arrays, constants, ranges, streams)
