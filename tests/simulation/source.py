"""nbgrad's real source over simulated primitives: Python functions below kernels, and classes, with their globals replaced.

    source = Source(primitive, entry, [Patch(ring.push, "copy_bytes(record, source, n_bytes)", "pass")])
    source.module(ring).push(...)
    source.replaced(Agent)

A `Patch` plants a bug: a piece of the text of a function or method is replaced (in the form of `ast.unparse`: no comments,
one statement a line), and it is an error if it is not there exactly once.
"""

import ast
import inspect
import textwrap
import types
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

from nbgrad.jit.compile import original
from nbgrad.jit.primitive import Primitive

KERNELS = (
    "nbgrad.shm.",
    "nbgrad.dist_autograd.ledger",
    "nbgrad.dist_autograd.context_rows",
    "nbgrad.collectives.rounds",
    "nbgrad.collectives.buckets",
    "nbgrad.collectives.letters",
    "nbgrad.parallel.step",
)
REBUILT = {  # modules whose Python functions and classes are rebuilt, so that they call simulated kernels
    "nbgrad.dist_autograd.engine",
    "nbgrad.dist_autograd.part",
    "nbgrad.dist_autograd.settle",
    "nbgrad.group.control",
    "nbgrad.rpc.agent",
    "nbgrad.rpc.serving",
}


SLOT = types.MemberDescriptorType


class PatchError(Exception):
    """A patch does not fit the source, or nothing ran the patched function."""


@dataclass(frozen=True)
class Patch:
    """Replace `old` by `new` in the source of a kernel, function or method; `names` may be used by `new`."""

    function: object
    old: str
    new: str
    names: dict = field(default_factory=dict)


def python_function(thing):
    """The Python function below a kernel, or a plain function itself."""
    thing = original(thing)
    return getattr(thing, "__wrapped__", thing)


def is_compiled(thing):
    """Whether it is a @kernel, @inline, @fastcall or @native of nbgrad (perhaps already replaced by its builtin)."""
    thing = original(thing)
    return type(thing).__module__.startswith("nbgrad.jit.") and hasattr(thing, "__wrapped__")


@cache
def text_of(function):
    """The function in the form of `ast.unparse`, without decorators, annotations, comments and docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    tree.decorator_list, tree.returns = [], None
    for argument in ast.walk(tree.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    if ast.get_docstring(tree) is not None:
        del tree.body[0]
    return ast.unparse(tree) + "\n"


def names_of(code):
    """Global names that the code, or code inside it, may look up."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_of(constant)
    return found


class Source:
    """Builds functions and classes; each once.

    `primitive(p)` makes the function for a Primitive, `entry(f)` wraps a kernel for callers in Python, `constants`
    replace globals by name.
    """

    def __init__(self, primitive, entry, patches=(), constants=None):
        self.primitive, self.entry, self.constants = primitive, entry, constants or {}
        self.patches = {}
        for patch in patches:
            self.patches.setdefault(python_function(patch.function), []).append(patch)
        self.codes = {function: self.patched(function) for function in self.patches}
        self.built = {}

    def module(self, module):
        """A module's functions as attributes, and its constants."""
        return self.once(module, lambda: Names(self, module))

    def once(self, key, make):
        if key not in self.built:
            self.built[key] = make()
        return self.built[key]

    def replaced(self, thing, inside=False):
        """What stands for a global; `inside`: for the caller inside a kernel."""
        thing = original(thing)
        if isinstance(thing, Primitive):
            return self.once(thing, lambda: self.primitive(thing))
        if is_compiled(thing):
            function = self.function(python_function(thing), True)
            return (
                function if inside else self.once(("entry", function), lambda: self.entry(function))
            )
        if isinstance(thing, types.ModuleType) and thing.__name__.startswith(KERNELS):
            return self.module(thing)
        if getattr(thing, "__module__", None) in REBUILT:
            if isinstance(thing, types.FunctionType):
                return self.function(thing, False)
            if isinstance(thing, type):
                return self.once(thing, lambda: self.rebuilt(thing))
        return thing

    def function(self, function, inside):
        """A function, run from its real source; `inside`: it belongs to a kernel."""
        if function not in self.built:
            code, extra = function.__code__, {}
            if function in self.codes:
                code, extra = self.codes[function]
            space = dict(function.__globals__) | extra
            made = types.FunctionType(
                code, space, function.__name__, function.__defaults__, function.__closure__
            )
            made.__kwdefaults__ = function.__kwdefaults__
            self.built[function] = made
            for name in names_of(code):
                if name in self.constants:
                    space[name] = self.constants[name]
                elif name in space:
                    space[name] = self.replaced(space[name], inside)
        return self.built[function]

    def must_be_used(self):
        """Every patched function has been built for a run."""
        unused = [function.__qualname__ for function in self.codes if function not in self.built]
        if unused:
            raise PatchError(f"no run has called {unused}, so the planted bugs were not there")

    def patched(self, function):
        """Code of the function with its patches, and the names that they bring."""
        text, extra = text_of(function), {}
        for patch in self.patches[function]:
            n = text.count(patch.old)
            if n != 1:
                raise PatchError(
                    f"{patch.old!r} is {n} times in {function.__qualname__}; follow the source"
                )
            text = text.replace(patch.old, patch.new)
            extra |= patch.names
        space = {}
        exec(
            compile(text, f"<patched {function.__module__}.{function.__qualname__}>", "exec"), space
        )
        return space[function.__name__].__code__, extra

    def rebuilt(self, cls):
        """A class with its methods rebuilt."""
        made = {}
        for name, value in vars(cls).items():
            if isinstance(value, types.FunctionType):
                value = self.function(value, False)
            elif isinstance(value, property):
                value = property(self.function(value.fget, False))
            if name not in ("__dict__", "__weakref__") and not isinstance(value, SLOT):
                made[name] = value
        return type(cls.__name__, cls.__bases__, made)


class Names(SimpleNamespace):
    """A module seen through a Source."""

    def __init__(self, source, module):
        super().__init__()
        self.__dict__.update(_source=source, _module=module)

    def __getattr__(self, name):
        value = self._source.replaced(getattr(self._module, name))
        setattr(self, name, value)
        return value

    __hash__ = object.__hash__
