"""@kernel: the one way nbgrad compiles code.  Lazy: importing a module compiles nothing and does not import Numba.

    @kernel("aa>a")
    def _relu_vjp(g, y, x_bar):
        for i in range(g.size):
            x_bar[i] = g[i] if y[i] > 0 else 0

The signature has one letter per argument: `a` array of the flavour's dtype (float32 or float64, decided by the first
a or A) of the same size as the first `a`; `A` the same of any size; `k` int64 array; `u` bool or uint8 array; `n` int;
`f` float in the flavour's dtype; `d` float64.  `>` stands before an argument that is written, a suffix `=d` or `=n` says
what is returned.  Arrays must be C-contiguous and arrive flat.

At its first call the name in the kernel's module is replaced by the native builtin, so call kernels by their global name.
Kernels must not raise, allocate or call anything but other kernels, `inline` functions and primitives.
"""

import functools
import sys
import threading

import numpy as np

from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import compile, llvm, machine, store, wrapper

GIL_ELEMENTS = (
    10_000  # releasing and retaking the GIL costs 30-150 ns: worth it from about 5 us of work
)
F4, F8 = np.dtype("f4"), np.dtype("f8")
DTYPES = {"k": np.dtype("i8"), "u": np.dtype("u1")}
kernels = []  # every kernel whose module is imported
sources = []  # everything that is compiled and whose module is imported; `objects()` of each says what the store can hold
lock = threading.RLock()  # two threads may make their first call at once


class Inline:
    """A function for use inside kernels only; always compiled together with its caller."""

    jit_kernel = True

    def __init__(self, function, fast):
        functools.update_wrapper(self, function)
        self.fast = fast

    def __call__(self, *args):
        return self.__wrapped__(*args)


class Kernel:
    """A lazily compiled kernel; `__wrapped__` is the Python function, which the simulators run."""

    jit_kernel = True

    def __init__(self, function, signature, fast, nogil):
        functools.update_wrapper(self, function)
        self.signature, self.fast = signature, fast
        self.arguments, self.result = wrapper.parse(signature)
        self.has_arrays = any(letter in "aA" for letter, _ in self.arguments)
        self.threshold = -1 if nogil else GIL_ELEMENTS
        self.builtin = None
        self.block = None
        kernels.append(self)
        sources.append(self)

    def __call__(self, *args):
        return self.ready()(*args)

    def ready(self):
        """The native builtin (or the dispatcher's stand-in); takes this object's place in its module."""
        with lock:
            if self.builtin is None:
                self.builtin = self.make_builtin() if machine.fast_calls else self.slow
                compile.originals[id(self.builtin)] = self
                space = vars(sys.modules[self.__module__])
                if space.get(self.__name__) is self:
                    space[self.__name__] = self.builtin
        return self.builtin

    def make_builtin(self):
        slow = self.slow
        block = np.zeros(wrapper.SIZE, np.int64)
        for word, thing in (
            (wrapper.NONE, None),
            (wrapper.NDARRAY, np.ndarray),
            (wrapper.SLOW, slow),
            (wrapper.FLAVOURS, F4),
            (wrapper.FLAVOURS + 2, F8),
            (wrapper.INT64, DTYPES["k"]),
            (wrapper.BOOL, np.dtype("?")),
            (wrapper.UINT8, DTYPES["u"]),
        ):
            block[word] = id(thing)
        block[wrapper.THRESHOLD] = self.threshold
        machine.immortal.append(slow)
        self.block = block
        return machine.make_builtin(
            self.__name__, wrapper_address(self.signature), block, self.__doc__
        )

    def symbol(self, flavour):
        return f"{self.__module__}.{self.__qualname__}.{flavour}".replace("<locals>.", "")

    def object_name(self, flavour):
        """Name of the object in the store: changes with the kernel's sources and options."""
        return f"{self.symbol(flavour)}-{code_digest(self.__wrapped__, self.signature, self.fast)}"

    def load(self, flavour):
        """Make the flavour callable, from the store if it is there, else by compiling."""
        symbol = self.symbol(flavour)
        obj = store.load_or_make(self.object_name(flavour), lambda: self.compile(flavour, symbol))
        self.set_address(flavour, machine.load_object(obj, symbol))

    def objects(self):
        """What the store can hold of this kernel: (name, function that makes it) of each flavour and the wrapper."""
        yield wrapper_object(self.signature, False)
        for flavour in self.flavours():
            yield (
                self.object_name(flavour),
                functools.partial(self.compile, flavour, self.symbol(flavour)),
            )

    def load_cached(self, flavour) -> bool:
        """As `load`, but never compiles; False where the store has nothing."""
        obj = store.load(self.object_name(flavour))
        if obj is None:
            return False
        self.ready()
        self.set_address(flavour, machine.load_object(obj, self.symbol(flavour)))
        return True

    def set_address(self, flavour, address):
        self.block[wrapper.FLAVOURS + (3 if flavour == "float64" else 1)] = address

    def flavours(self):
        return ("float32", "float64") if self.has_arrays else ("any",)

    def compile(self, flavour, symbol):
        return machine.emit(self.module(flavour, symbol), {symbol})

    def module(self, flavour, symbol):
        """The LLVM module of one flavour, in which the kernel is called `symbol`."""
        kinds = {"a": f"{flavour}[]", "A": f"{flavour}[]", "k": "int64[]", "u": "uint8[]"}
        kinds |= {"n": "int64", "f": flavour, "d": "float64"}
        result = {"": "void", "d": "float64", "n": "int64"}[self.result]
        arguments = [kinds[letter] for letter, _ in self.arguments]
        return compile.compile_module(self.__wrapped__, arguments, result, self.fast, symbol)

    def slow(self, *args):
        """What the builtin does with arguments it can't take: compile the flavour, or say what is wrong."""
        if len(args) != len(self.arguments):
            raise TypeError(
                f"kernel {self.__name__} takes {len(self.arguments)} arguments, got {len(args)}"
            )
        flavour, sizes = None, []
        for k, (value, (letter, written)) in enumerate(zip(args, self.arguments, strict=True)):
            if letter not in "aAku":
                continue
            where = f"kernel {self.__name__}, argument {k + 1}"
            if type(value) is not np.ndarray:
                raise DtypeError(f"{where} must be a plain ndarray, got {type(value).__name__}")
            if letter in "aA":
                flavour = flavour or value.dtype
                right = value.dtype == flavour and flavour in (F4, F8)
            else:
                right = value.dtype == DTYPES[letter] or (letter == "u" and value.dtype == np.bool_)
            if not right:
                wanted = (
                    flavour
                    if letter in "aA" and flavour in (F4, F8)
                    else DTYPES.get(letter, "float32 or float64")
                )
                raise DtypeError(f"{where} has dtype {value.dtype}; wanted {wanted}")
            if not value.flags.c_contiguous or (written and not value.flags.writeable):
                state = (
                    "not C-contiguous"
                    if not value.flags.c_contiguous
                    else "read-only, but is written"
                )
                raise DtypeError(f"{where} (shape {value.shape}) is {state}")
            if letter == "a":
                sizes.append(value.size)
        if len(set(sizes)) > 1:
            raise ShapeError(
                f"kernel {self.__name__}: arrays of one size wanted, got sizes {sizes}"
            )
        if not machine.fast_calls:
            return self.dispatch(args)
        name = "any" if flavour is None else flavour.name
        word = wrapper.FLAVOURS + (3 if name == "float64" else 1)
        with lock:
            if self.block[word] == 0:
                self.load(name)
        # A dtype that is equal but not the same object (from pickles of old files) gets the canonical one.
        args = [
            value.view(np.dtype(value.dtype.str))
            if type(value) is np.ndarray and value.dtype is not np.dtype(value.dtype.str)
            else value
            for value in args
        ]
        return self.builtin(*args)

    def dispatch(self, args):
        """The stand-in where struct offsets are not as expected: Numba's own dispatcher, ten times slower a call."""
        dispatcher = compile.numba_form(self)
        single = next(
            (a.dtype == F4 for a in args if type(a) is np.ndarray and a.dtype in (F4, F8)), False
        )
        fitted = []
        for value, (letter, _) in zip(args, self.arguments, strict=True):
            if letter in "aAku":
                flat = value.reshape(-1)
                fitted.append(flat.view(np.uint8) if letter == "u" else flat)
            elif letter == "n":
                fitted.append(int(value))
            else:
                fitted.append(np.float32(value) if letter == "f" and single else float(value))
        return dispatcher(*fitted)


def code_digest(function, *options):
    """Hash of the sources of `function` and of all kernels it calls, and of its options."""
    files, primitives = compile.dependencies(function)
    if not all(
        store.source_digest(file) for file in files
    ):  # typed at a prompt: its code is all there is
        code = function.__code__
        options = (*options, code.co_code, code.co_consts, code.co_names)
    return store.digest(
        repr((options, primitives)).encode(), *(store.source_digest(f).encode() for f in files)
    )


@functools.cache
def wrapper_address(signature, makes=False):
    """Address of the native wrapper for a signature; compiled by LLVM in milliseconds, kept in the store."""
    symbol, compiled = wrapper_object(signature, makes)
    return machine.load_object(store.load_or_make(symbol, compiled), symbol)


def wrapper_object(signature, makes):
    """Name of a wrapper in the store, and a function that makes it."""
    symbol = ("make." if makes else "wrap.") + signature.replace(">", "w").replace("=", ".")

    def compiled():
        text = wrapper.wrapper_text(signature, symbol, makes)
        return machine.emit(llvm.parse_assembly(text), {symbol})

    return symbol, compiled


def kernel(signature: str, *, fast: bool = True, nogil: bool = False):
    """Decorator: compile the function with Numba at its first call; see the module's docstring for `signature`.

    Parameters
    ----------
    signature : str
        One letter per argument, `>` before what is written, `=d` or `=n` for a result.
    fast : bool
        Let LLVM reorder sums and use reciprocals (NaN and infinities keep their meaning).
    nogil : bool
        Always release the GIL; else only when the first array has more than 10,000 elements.

    Examples
    --------
    >>> import numpy as np
    >>> from nbgrad.jit import kernel
    >>> @kernel("a>a")
    ... def double(x, y):
    ...     for i in range(x.size):
    ...         y[i] = x[i] + x[i]
    >>> x = np.arange(3, dtype=np.float32)
    >>> y = np.empty_like(x)
    >>> double(x, y)
    >>> y
    array([0., 2., 4.], dtype=float32)
    """
    return lambda function: Kernel(function, signature, fast, nogil)


def inline(function):
    """Decorator: a function that kernels may call; Numba compiles it into each of them."""
    return Inline(function, True)


def load_cached() -> int:
    """Load every flavour of every imported kernel that the store holds; how many.  Compiles nothing."""
    return (
        sum(k.load_cached(flavour) for k in list(kernels) for flavour in k.flavours())
        if machine.fast_calls
        else 0
    )
