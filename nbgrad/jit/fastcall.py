"""@fastcall: a builtin written by hand in kernel language, for calls that build or read Python objects.

    @fastcall
    def size_of_tuple(block, args, n_args):
        return to_int(peek(peek(args) + 16))

The function gets the address of the block's first word, the address of the argument vector and the number of
arguments, and returns a new reference to a Python object as an address, or 0 with an exception set.  It runs with
the GIL held unless it releases it (`save_thread`, `restore_thread`).  `bind(words)` makes a builtin whose block holds
`words`; it and the objects among them are kept alive for ever, and equal words give the builtin that is there already, so
that a group which forms again takes no more memory.  There is no fallback: without fast calls there are no groups.
"""

import ctypes
import functools

import numpy as np

from nbgrad.errors import StartupError
from nbgrad.jit import compile, llvm, machine, store
from nbgrad.jit.kernel import code_digest, sources
from nbgrad.jit.primitive import external

to_int = external("PyLong_FromLongLong", 1)  # int64 -> new int object
from_int = external("PyLong_AsLongLong", 1)  # int object -> int64
new_bytes = external("PyBytes_FromStringAndSize", 2)
new_tuple = external("PyTuple_New", 1)
inc_ref = external("Py_IncRef", 1, returns=False)
dec_ref = external("Py_DecRef", 1, returns=False)
save_thread = external("PyEval_SaveThread", 0)
restore_thread = external("PyEval_RestoreThread", 1, returns=False)
new_capsule = external("PyCapsule_New", 3)
new_list = external("PyList_New", 1)
append = external("PyList_Append", 2)
get_item = external("PyDict_GetItemWithError", 2)  # a reference that is the dict's, 0: not there
bad_argument = external("PyErr_BadArgument", 0)  # sets a TypeError
INT = 0xFFFFFFFF  # a C function that returns an int leaves above it what it likes

# Offsets in objects: of the type; of the number of items of a list, tuple or dict; of a tuple's items, of a list's pointer
# to its items.
TYPE, SIZE, TUPLE_ITEMS, LIST_ITEMS = 8, 16, 24, 24

OUTER = """
declare i32 @"{inner}"(ptr, ptr, i64, i64, i64)
define ptr @"{outer}"(ptr %self, ptr %args, i64 %nargs) {{
  %result = alloca i64
  %exception = alloca ptr
  %where = getelementptr i8, ptr %self, i64 16
  %block = load i64, ptr %where
  %vector = ptrtoint ptr %args to i64
  %status = call i32 @"{inner}"(ptr %result, ptr %exception, i64 %block, i64 %vector, i64 %nargs)
  %value = load i64, ptr %result
  %object = inttoptr i64 %value to ptr
  ret ptr %object
}}
"""


OUTER_DESTRUCTOR = """
declare i32 @"{inner}"(ptr, ptr, i64)
define void @"{outer}"(i64 %object) {{
  %result = alloca i64
  %exception = alloca ptr
  %status = call i32 @"{inner}"(ptr %result, ptr %exception, i64 %object)
  ret void
}}
"""


CALLBACK = """
declare i32 @"{inner}"(ptr, ptr, KINDS)
define i64 @"{outer}"(NAMED) {{
  %result = alloca i64
  %exception = alloca ptr
  %status = call i32 @"{inner}"(ptr %result, ptr %exception, NAMED)
  %value = load i64, ptr %result
  ret i64 %value
}}
"""


class NativeFunction:
    """A native function for native callers (a destructor): f(object) without a result, called with the GIL held."""

    n_args, result, outer = 1, "int64", OUTER_DESTRUCTOR

    def __init__(self, function):
        functools.update_wrapper(self, function)
        sources.append(self)

    def symbol(self):
        return f"{self.__module__}.{self.__name__}"

    def objects(self):
        """What the store can hold of it: (name, function that makes it)."""
        yield f"{self.symbol()}-{code_digest(self.__wrapped__)}", self.compile

    @functools.cache  # noqa: B019  one per function of the package
    def address(self):
        """Where it starts; compiled, or loaded from the store, at the first call."""
        obj = store.load_or_make(*next(self.objects()))
        return machine.load_object(obj, self.symbol())

    def compile(self):
        """Its object code."""
        outer, inner = self.symbol(), f"{self.symbol()}.inner"
        kinds = ["int64"] * self.n_args
        module = compile.compile_module(self.__wrapped__, kinds, self.result, False, inner)
        module.link_in(llvm.parse_assembly(self.outer.format(inner=inner, outer=outer)))
        return machine.emit(module, {outer})


class FastCall(NativeFunction):
    """A hand-written builtin, compiled or loaded when it is first bound."""

    n_args, outer = 3, OUTER

    def __init__(self, function):
        super().__init__(function)
        self.bound = {}  # contents of a block -> the builtin that has it

    def bind(self, words=()):
        """A builtin function whose block holds `words` (ints as they are, other objects by address)."""
        if not machine.fast_calls:
            raise StartupError(
                "this Python keeps its objects in another layout than nbgrad's native calls expect (a free-threaded "
                "build?), so groups of workers can't start here; training in one process works"
            )
        content = tuple([word if type(word) is int else id(word) for word in words]) or (0,)
        if content not in self.bound:
            machine.immortal.append(tuple(words))  # so no other object will have these addresses
            block = np.array(content, np.int64)
            self.bound[content] = machine.make_builtin(
                self.__name__, self.address(), block, self.__doc__
            )
        return self.bound[content]


class Callback(NativeFunction):
    """A native function for native callers: f(int64, ...) -> int64, addresses too; called with the GIL held."""

    def __init__(self, function):
        super().__init__(function)
        self.n_args = function.__code__.co_argcount
        numbers = ["i64"] * self.n_args
        named = ", ".join(f"i64 %a{k}" for k in range(self.n_args))
        self.outer = CALLBACK.replace("KINDS", ", ".join(numbers)).replace("NAMED", named)


def callback(function):
    """Decorator: `function(numbers)` becomes a native function with a result; `.address()` is where it starts."""
    return Callback(function)


def slot_offset(cls, name):
    """Where objects of a class with `__slots__` keep the address of what is in the slot `name`, found by trying."""
    probe, marker = object.__new__(cls), object()
    setattr(probe, name, marker)
    words = np.ctypeslib.as_array(
        ctypes.cast(id(probe), ctypes.POINTER(ctypes.c_int64)), (cls.__basicsize__ // 8,)
    )
    (place,) = np.flatnonzero(words == id(marker))
    return 8 * int(place)


def fastcall(function):
    """Decorator; see the module's docstring."""
    return FastCall(function)


def native(function):
    """Decorator: `function(address)` becomes a native function; `.address()` is where it starts."""
    return NativeFunction(function)
