"""@maker: a kernel that makes its results, so that one native call does what an operation on small arrays costs.

    @maker("aa>a")
    def _mul(x, y, z):
        for i in range(x.size):
            z[i] = x[i] * y[i]

    z = _mul(x, y)

The signature is that of `@kernel`.  Every argument after a `>` is not given by the caller: it is made in the shape and
dtype of the first array and returned, several as a tuple.  Arrays with the letter `a` must have one shape.  Results of
64 KiB and more come from the allocator that `set_allocator` named, smaller ones from NumPy.

Checking two shapes, `np.empty` and a kernel call from Python take about 300 ns; this takes 100.
"""

import ctypes
import functools
import sys

import numpy as np
from numpy._core._multiarray_umath import _ARRAY_API

from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import compile, forms, machine, wrapper
from nbgrad.jit.kernel import Kernel, lock, sources, wrapper_address, wrapper_object

PY_ARRAY_EMPTY = 184  # its place in NumPy's table of C functions, fixed by NumPy's ABI


class Allocator:
    """Where large results come from."""

    empty = staticmethod(np.empty)


def set_allocator(empty):
    """Let `empty(shape, dtype)` make the large results."""
    Allocator.empty = staticmethod(empty)


def function_of_numpy(place):
    """Address of a function of NumPy's C API."""
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = pointer_of(_ARRAY_API, None)
    return ctypes.c_void_p.from_address(table + 8 * place).value


@functools.cache
def empty_address() -> int:
    """Address of PyArray_Empty, or 0 where a trial call does not make what it should."""
    address = function_of_numpy(PY_ARRAY_EMPTY)
    kind = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_int, ctypes.c_void_p, ctypes.py_object, ctypes.c_int
    )
    dtype, dims = np.dtype("f4"), (ctypes.c_int64 * 2)(2, 3)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(dtype))  # the call takes a reference
    array = kind(address)(2, ctypes.addressof(dims), dtype, 0)
    right = array.shape == (2, 3) and array.dtype is dtype and array.flags.c_contiguous
    return address if right else 0


class Maker:
    """A lazily compiled kernel that makes its results; `__wrapped__` is the Python function."""

    jit_kernel = True

    def __init__(self, function, signature, fast, quiet, form):
        functools.update_wrapper(self, function)
        self.plain = Kernel(function, signature, fast, False)
        self.signature, self.fast, self.quiet, self.form = signature, fast, quiet, form
        given = [letter for letter, written in self.plain.arguments if not written]
        self.like = next(k for k, letter in enumerate(given) if letter in "aA")
        self.same = [k for k, letter in enumerate(given) if letter == "a"]
        self.n_given = len(given)
        self.builtin = None
        sources.append(self)

    def objects(self):
        """What the store can hold besides the kernel's: (name, function that makes it)."""
        yield wrapper_object(self.signature, True)

    def __call__(self, *args):
        return self.ready()(*args)

    def ready(self):
        """The native builtin (or its stand-in); takes this object's place in its module."""
        with lock:
            if self.builtin is None:
                native = machine.fast_calls and empty_address()
                self.builtin = self.make_builtin() if native else self.slow
                compile.originals[id(self.builtin)] = self
                space = vars(sys.modules[self.__module__])
                if space.get(self.__name__) is self:
                    space[self.__name__] = self.builtin
        return self.builtin

    def make_builtin(self):
        self.plain.ready()
        slow = self.slow
        machine.immortal.append(slow)
        self.block = self.plain.block.copy()
        self.block[wrapper.SLOW] = id(slow)
        self.block[wrapper.EMPTY] = empty_address()
        address = wrapper_address(self.signature, makes=True)
        return machine.make_builtin(self.__name__, address, self.block, self.__doc__)

    def slow(self, *args):
        """What the builtin does with arguments it can't take: large arrays, or mistakes."""
        if len(args) != self.n_given:
            raise TypeError(
                f"maker {self.__name__} takes {self.n_given} arguments, got {len(args)}"
            )
        like = args[self.like]
        if self.quiet and not self.fits(args, like):
            return None
        for k in self.same:
            if type(args[k]) is not np.ndarray:
                raise DtypeError(
                    f"maker {self.__name__}, argument {k + 1} must be a plain ndarray, got {type(args[k]).__name__}"
                )
            if args[k].shape != like.shape:
                raise ShapeError(
                    f"maker {self.__name__}: arrays of one shape wanted, got {like.shape} and {args[k].shape}"
                )
        if like.dtype not in (np.float32, np.float64):
            raise DtypeError(f"maker {self.__name__}: float32 or float64 wanted, got {like.dtype}")
        rest, made, full = iter(args), [], []
        for _, written in self.plain.arguments:
            if written:
                made.append(Allocator.empty(like.shape, like.dtype))
            full.append(made[-1] if written else next(rest))
        if self.form and forms.streams(like):
            forms.stream(self.form, made[0], *args)
            return made[0]
        self.plain.ready()(*full)
        if self.builtin is not None and self.plain.block is not None and self.builtin != self.slow:
            for word in (wrapper.FLAVOURS + 1, wrapper.FLAVOURS + 3):
                self.block[word] = self.plain.block[word]
        return made[0] if len(made) == 1 else tuple(made)

    def fits(self, args, like):
        """Whether the arrays have one shape and floating dtype, and are contiguous."""
        if type(like) is not np.ndarray or like.dtype not in (np.float32, np.float64):
            return False
        shape, dtype = like.shape, like.dtype
        return all(
            type(x) is np.ndarray and x.shape == shape and x.dtype == dtype and x.flags.c_contiguous
            for x in (args[k] for k in self.same)
        )


def maker(signature: str, *, fast: bool = True, quiet: bool = False, form: str = ""):
    """Decorator: as `kernel`, but the arrays after each `>` are made and returned.

    Parameters
    ----------
    signature : str
        As for `kernel`; without a result suffix.
    fast : bool
        As for `kernel`.
    quiet : bool
        Return None, instead of raising, where the arrays do not fit: the caller has another way.
    form : str
        What forms.py calls the same computation: very large results are written by that.

    Examples
    --------
    >>> import numpy as np
    >>> from nbgrad.jit import maker
    >>> @maker("a>a")
    ... def double(x, y):
    ...     for i in range(x.size):
    ...         y[i] = x[i] + x[i]
    >>> double(np.ones((1, 2)))
    array([[2., 2.]])
    """
    return lambda function: Maker(function, signature, fast, quiet, form)
