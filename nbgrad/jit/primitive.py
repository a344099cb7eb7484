"""Primitives: what a kernel can do beyond arithmetic on numbers and arrays, each lowered to one LLVM instruction or call.

A `Primitive` is only a description, so that importing costs nothing; `compile.py` turns it into a Numba intrinsic when a
kernel that uses it is compiled, and the simulators of tests/ replace it by a Python function.
All values are int64 (addresses too: user space ends below 2**47), also those of 32-bit words, which are zero-extended.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Primitive:
    """One operation: `kind` selects the lowering, the rest are its parameters."""

    name: str
    kind: str
    op: str = ""
    bits: int = 64
    order: str = ""
    n_args: int = 0
    returns: bool = True

    def __call__(self, *args):
        raise TypeError(
            f"{self.name} is a primitive for kernels; in Python call a kernel that uses it"
        )


def external(symbol: str, n_args: int, returns: bool = True) -> Primitive:
    """A C function of this process that takes and returns 64-bit integers (addresses too)."""
    return Primitive(symbol, "external", n_args=n_args, returns=returns)


# Plain memory: for words that no other thread touches meanwhile.
peek = Primitive("peek", "peek")  # peek(address) -> int64
poke = Primitive("poke", "poke", returns=False)  # poke(address, value)
peek32 = Primitive("peek32", "peek", bits=32)
poke32 = Primitive("poke32", "poke", bits=32, returns=False)
peek8 = Primitive("peek8", "peek", bits=8)
poke8 = Primitive("poke8", "poke", bits=8, returns=False)
copy_bytes = Primitive("copy_bytes", "copy", returns=False)  # copy_bytes(to, from, n_bytes)
scratch = Primitive("scratch", "scratch")  # scratch(): address of 256 bytes of this call's stack
call_address_2 = Primitive(
    "call_address_2", "pointer", n_args=3
)  # (function address, a, b) -> int64
call_address_8 = Primitive("call_address_8", "pointer", n_args=9)

# Floating point, for the type of the argument: one machine instruction each.
rint = Primitive("rint", "float", "llvm.rint", n_args=1)
fabs = Primitive("fabs", "float", "llvm.fabs", n_args=1)
fsqrt = Primitive("fsqrt", "float", "llvm.sqrt", n_args=1)
fmax = Primitive("fmax", "float", "llvm.maxnum", n_args=2)
fmin = Primitive("fmin", "float", "llvm.minnum", n_args=2)
copysign = Primitive("copysign", "float", "llvm.copysign", n_args=2)
pow2i = Primitive(
    "pow2i", "pow2i"
)  # 2**n for an integral-valued float n in the range of normal numbers
times_pow2 = Primitive(
    "times_pow2", "times_pow2", n_args=2
)  # x * 2**n for an integral-valued n, where x and the result are normal numbers: n is added to the exponent
