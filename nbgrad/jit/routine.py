"""@routine: a native function over arrays that other native code calls through its address.

    @routine(arrays=3, numbers=2)
    def add(out, a, b, mode, count):
        for i in range(out.size):
            out[i] = a[i] + b[i]

    add.address("float32")      # of a function (out, a, b, n elements, mode, count, 0, 0): eight int64, result 0

A kernel calls it by `call_address_8`, with addresses as they come out of shared memory.  One version per dtype is compiled
when its address is first asked for, and kept in the object cache.  Arrays may lie at the same place, or apart; sums are not
reordered and quotients are exact, unless the routine is `fast`.
"""

import functools

import numpy as np

from nbgrad.jit import compile, llvm, machine, store
from nbgrad.jit.kernel import code_digest, sources

N_ARGS = 8


class Routine:
    """A native function over arrays, per dtype."""

    def __init__(self, function, arrays: int, numbers: int, common: tuple[str, ...], fast: bool):
        functools.update_wrapper(self, function)
        self.arrays, self.numbers, self.common, self.fast = arrays, numbers, common, fast
        assert arrays + 1 + numbers <= N_ARGS
        self.addresses: dict[str, int] = {}
        sources.append(self)

    def address(self, dtype: str) -> int:
        """Where the version for arrays of `dtype` (a NumPy name) starts."""
        if dtype not in self.addresses:
            obj = store.load_or_make(*self.stored(dtype))
            self.addresses[dtype] = machine.load_object(obj, self.symbol(dtype))
        return self.addresses[dtype]

    def symbol(self, dtype: str) -> str:
        return f"{self.__module__}.{self.__qualname__}.{dtype}"

    def stored(self, dtype: str):
        """Name of one version in the store, and a function that makes it."""
        outer = self.outer(dtype, self.symbol(dtype))
        name = f"{self.symbol(dtype)}-{code_digest(self.__wrapped__, outer, self.fast)}"
        return name, functools.partial(self.compile, dtype)

    def objects(self):
        """What the store can hold of it for the common dtypes: (name, function that makes it) of each."""
        yield from map(self.stored, self.common)

    def compile(self, dtype: str) -> bytes:
        """Object code of one version."""
        symbol = self.symbol(dtype)
        kinds = [f"{dtype}[]"] * self.arrays + ["int64"] * self.numbers
        module = compile.compile_module(
            self.__wrapped__, kinds, "void", self.fast, f"{symbol}.inner"
        )
        module.link_in(llvm.parse_assembly(self.outer(dtype, symbol)))
        return machine.emit(module, {symbol})

    def outer(self, dtype: str, symbol: str) -> str:
        item = np.dtype(dtype).itemsize
        return outer_text(f"{symbol}.inner", symbol, self.arrays, self.numbers, item)


def outer_text(inner: str, outer: str, arrays: int, numbers: int, item: int) -> str:
    """LLVM text of the function that has the address: eight numbers in, Numba's convention below (compile.py)."""
    kinds = ["ptr", "ptr"] + ["ptr", "ptr", "i64", "i64", "ptr", "i64", "i64"] * arrays
    kinds += ["i64"] * numbers
    values = ["ptr %result", "ptr %exception"]
    for k in range(arrays):
        values += ["ptr null", "ptr null", "i64 %n", f"i64 {item}", f"ptr %p{k}", "i64 %n", f"i64 {item}"]  # fmt: skip
    values += [f"i64 %a{arrays + 1 + k}" for k in range(numbers)]
    lines = [
        f'declare i32 @"{inner}"({", ".join(kinds)})',
        f'define i64 @"{outer}"({", ".join(f"i64 %a{k}" for k in range(N_ARGS))}) {{',
        "  %result = alloca i64",
        "  %exception = alloca ptr",
        f"  %n = add i64 %a{arrays}, 0",
        *[f"  %p{k} = inttoptr i64 %a{k} to ptr" for k in range(arrays)],
        f'  %status = call i32 @"{inner}"({", ".join(values)})',
        "  ret i64 0",
        "}",
    ]
    return "\n".join(lines)


def routine(
    arrays: int,
    numbers: int = 0,
    common: tuple[str, ...] = ("float32", "float64"),
    fast: bool = False,
):
    """Decorator; see the module's docstring.  `common` are the dtypes that are worth compiling in advance."""
    return lambda function: Routine(function, arrays, numbers, common, fast)
