"""@op: make a differentiable operation of a forward and a VJP, both written over plain arrays.

    @op(inputs=2)                        @mul.vjp
    def mul(x, y, needs):                def mul(residuals, g):
        return x * y, (x, y)                 x, y = residuals
                                             return g * y, g * x

The forward gets ndarrays and returns (result, residuals).  Its first `inputs` parameters are the
differentiable ones.  A parameter named `needs` is not the caller's: it receives one bool per
differentiable input, so that a forward can save only what its VJP will use.  The VJP gets the
residuals and the cotangent of the result, and returns one cotangent per differentiable input (None
for one that needs none).  What an op is called with may be tensors, arrays or numbers.

`@mul.double("0 1")` registers the VJP once more, written over tensors: it runs only where gradients
of gradients are asked for (`nbgrad.autograd.double`).

Notes
-----
For small tensors the calls around a kernel cost more than the kernel.  So the function that the user
calls is generated, as `dataclasses` does it, from a template with the op's own parameters: it has an
honest signature, accepts keywords, and runs no loop over arguments.  For `mul` it reads

    def mul(x, y):
        if isinstance(x, Tensor):
            x_data = x.array
            x_needs = x.requires_grad
        else:
            x_data = convert(x)
            x_needs = False
        ...
        if (x_needs or y_needs) and (not switch.n_off or thread.enabled):
            data, residuals = forward(x_data, y_data, (x_needs, y_needs))
            node = new(Node)
            ...

It is generated when it is called for the first time (0.4-0.7 ms): a program pays nothing for the ops that it never
calls.  Until then the function has the code of `unbuilt`, which puts the generated code in its own place.

A forward that is given a sparse tensor fails, since a `SparseArray` is no ndarray.  Only then the op's sparse form is
called, if `nbgrad.ops.sparse` has set one as `mul.sparse`; with dense tensors the `try` around all this costs nothing.
"""

import functools
import inspect
import textwrap
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nbgrad.autograd.anomaly import Trace, call_site
from nbgrad.autograd.double import give_double
from nbgrad.autograd.dtypes import as_array, as_operand
from nbgrad.autograd.grad_mode import switch, thread
from nbgrad.autograd.node import Node, next_seq
from nbgrad.autograd.node_name import Name
from nbgrad.autograd.sparse import SparseArray
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError

registry: dict[str, Any] = {}  # name -> op made last under it, for tables and checks
every: weakref.WeakSet = weakref.WeakSet()  # all ops; a user's may have the name of another

INPUT = """\
    if isinstance({x}, Tensor):
        {x}_data = {x}.array
        {x}_needs = {x}.requires_grad
    else:
        {x}_data = convert({x})
        {x}_needs = False
"""

SEQUENCE = """\
    {x}_data = [t.array if isinstance(t, Tensor) else convert(t) for t in {x}]
    {x}_needs = tuple([isinstance(t, Tensor) and t.requires_grad for t in {x}])
"""

EXTRA = """\
    if isinstance({x}, Tensor):
        {x} = {x}.array
"""

RECORD = """\
    if ({any_needs}) and (not switch.n_off or thread.enabled):
        data, residuals = forward({call_with_needs})
        node = new(Node)
        node.vjp = vjp
        node.residuals = residuals
        node.edges = {edges}
        node.name = name
        node.n_outputs = {n_outputs}
        node.seq = next_seq()
        node.hooks = None
        if trace.on:
            node.site = call_site()
{result}
    data, residuals = forward({call_without})
    return {plain}
"""

ONE_RESULT = """\
        result = new(Tensor)
        result.array = data
        result.requires_grad = True
        result.node = node
        result.idx = 0
        result.grad = None
        result.hooks = None
        return result"""

# A view remembers the tensor whose memory it shows; a view of a view, the same one.
VIEW = """\
        result.view_of = getattr({x}, "view_of", {x})
        return result"""

MANY_VIEWS = """\
        return as_views([Tensor(part, True, node, idx) for idx, part in enumerate(data)], {x})"""

MANY_RESULTS = """\
        return tuple([Tensor(part, True, node, idx) for idx, part in enumerate(data)])"""

WITH_SPARSE = """\
    try:
{body}
    except Exception:
        if not has_sparse({inputs}):
            raise
    return sparse_form(user)({arguments})
"""


def as_views(parts: list, x: Any) -> tuple:
    """Tensors that show memory of x."""
    for part in parts:
        part.view_of = getattr(x, "view_of", x)
    return tuple(parts)


def source(
    name: str, params: list, inputs: Any, many: bool, constant: bool, sparse: bool, view: bool
) -> str:
    """The text of the function that the user calls."""
    own = [p for p in params if p.name != "needs"]
    header = inspect.Signature(
        [p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else Slot(p.name))
         for p in own]
    )  # fmt: skip
    sequence = inputs == "sequence"
    tensors = [p.name for p in own[: 1 if sequence else inputs]]
    extras = [p.name for p in own[len(tensors) :]]

    def call(needs: str) -> str:
        values = {x: f"{x}_data" for x in tensors} | {x: x for x in extras} | {"needs": needs}
        return ", ".join(
            f"{p.name}={values[p.name]}" if p.kind is p.KEYWORD_ONLY else values[p.name]
            for p in params
        )

    body = "".join((SEQUENCE if sequence else INPUT).format(x=x) for x in tensors)
    body += "".join(EXTRA.format(x=x) for x in extras)
    plain = "tuple([Tensor(part) for part in data])" if many else "Tensor(data)"
    recorded = MANY_RESULTS if many else ONE_RESULT
    if view:
        (x,) = tensors
        plain = f"as_views({'[Tensor(part) for part in data]' if many else '[Tensor(data)]'}, {x})"
        plain += "" if many else "[0]"
        last = "        return result"
        recorded = (MANY_VIEWS if many else ONE_RESULT.replace(last, VIEW)).format(x=x)
    no_needs = f"({'False, ' * len(tensors)})"
    if sequence:
        (x,) = tensors
        no_needs = f"(False,) * len({x}_data)"
        any_needs, needs = f"True in {x}_needs", f"{x}_needs"
        edges = f"tuple([(t.node or t, t.idx) if n else None for t, n in zip({x}, {x}_needs)])"
    else:
        any_needs = " or ".join(f"{x}_needs" for x in tensors)
        needs = f"({''.join(f'{x}_needs, ' for x in tensors)})"
        edge = "({x}.node or {x}, {x}.idx) if {x}_needs else None, "
        edges = f"({''.join(edge.format(x=x) for x in tensors)})"
    if constant:
        body += f"    data, residuals = forward({call(no_needs)})\n    return {plain}\n"
    else:
        body += RECORD.format(
            any_needs=any_needs,
            call_with_needs=call(needs),
            call_without=call(no_needs),
            edges=edges,
            n_outputs="len(data)" if many else "1",
            result=recorded,
            plain=plain,
        )
    text = f"def {name}{header}:\n"
    if sparse:
        return text + body
    return text + WITH_SPARSE.format(
        body=textwrap.indent(body.rstrip(), "    "),
        inputs=f"*{tensors[0]}" if sequence else ", ".join(tensors),
        arguments=", ".join(
            f"{p.name}={p.name}" if p.kind is p.KEYWORD_ONLY else p.name for p in own
        ),
    )


def unbuilt(*args: Any, **kwargs: Any) -> Any:
    """What an op does before its first call; runs in the globals of the op."""
    return build_and_call(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821


def build(user: Any, inputs: Any, many: bool, constant: bool, sparse: bool, view: bool) -> None:
    """Give an op its own code in place of `unbuilt`'s."""
    name, params = user.__name__, list(inspect.signature(user.__wrapped__).parameters.values())
    defaults = {f"default_{p.name}": p.default for p in params if p.default is not p.empty}
    text = source(name, params, inputs, many, constant, sparse, view)
    # The text runs over a copy of the op's globals: nothing but the function is made, and two threads may do it at once.
    scope = user.__globals__ | defaults
    exec(compile(text, f"<op {name}>", "exec"), scope)
    made = scope[name]
    user.__defaults__ = made.__defaults__
    user.__kwdefaults__ = made.__kwdefaults__
    user.__code__ = made.__code__  # last: another thread may be calling


def takes_needs(forward: Any) -> bool:
    """Whether a forward has the parameter that is not the caller's."""
    code = getattr(inspect.unwrap(forward), "__code__", None)
    return code is None or "needs" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


class Slot:
    """Prints as the name under which a default value waits in the generated function's globals."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"default_{self.name}"


def op(
    forward: Callable | None = None,
    *,
    inputs: Any = 1,
    many: bool = False,
    constant: bool = False,
    numbers: bool = False,
    sparse: bool = False,
    view: bool = False,
    name: str | None = None,
) -> Any:
    """Make an operation on tensors of a forward over arrays.

    Parameters
    ----------
    forward : callable
        Gets arrays, returns (result, residuals).
    inputs : int or "sequence"
        How many leading parameters are differentiable; "sequence" if the first one is a list of
        tensors, all of them differentiable.
    many : bool
        Whether the result is a tuple of arrays; the op then returns a tuple of tensors, and its VJP
        gets a list with one cotangent or None per result.
    constant : bool
        Whether results never carry gradients (comparisons, argmax); such an op has no VJP.
    numbers : bool
        Whether the forward takes Python numbers as they are.  If not they arrive as arrays.
    sparse : bool
        Whether the forward takes `SparseArray`s, too.  If not, the op's attribute `sparse` may be set to one that does.
    view : bool
        Whether the result shows the memory of the input, so that a write into one is one into the other.
    name : str, optional
        What its nodes are called, if not as the forward.

    Returns
    -------
    function
        With `.vjp`, the decorator that takes the VJP and gives the op back, and `.double(words)`, the decorator that takes
        its second form, see `nbgrad.autograd.double`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> @nb.autograd.op
    ... def cube(x):
    ...     return x**3, (x,)
    >>> @cube.vjp
    ... def cube(residuals, g):
    ...     (x,) = residuals
    ...     return (g * 3 * x**2,)
    >>> x = nb.tensor([2.0], requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    tensor([12.])
    """
    if forward is None:
        return functools.partial(
            op,
            inputs=inputs,
            many=many,
            constant=constant,
            numbers=numbers,
            sparse=sparse,
            view=view,
            name=name,
        )
    own_name = forward.__name__
    scope: dict[str, Any] = {
        "Tensor": Tensor,
        "Node": Node,
        "new": object.__new__,
        "next_seq": next_seq,
        "switch": switch,
        "trace": Trace,
        "call_site": call_site,
        "thread": thread,
        "as_views": as_views,
        "convert": as_operand if numbers else as_array,
        "forward": forward,
        "has_sparse": has_sparse,
        "sparse_form": sparse_form,
        "name": Name(name or own_name),
        "vjp": missing(own_name),
    }
    user: Any = FunctionType(unbuilt.__code__, scope, own_name)
    scope["user"] = user

    def build_and_call(*args: Any, **kwargs: Any) -> Any:
        build(user, inputs, many, constant, sparse, view)
        return user(*args, **kwargs)

    scope["build_and_call"] = build_and_call

    def vjp(pullback: Callable[[Any, Any], tuple]) -> Any:
        scope["vjp"] = pullback
        pullback.is_view = view  # type: ignore[attr-defined]
        user.pullback = pullback
        return user

    def double(words: str = "") -> Callable:
        def register(form: Callable[[Any, Any], Any]) -> Any:
            give_double(scope["vjp"], words, form)
            return user

        return register

    functools.update_wrapper(user, forward)
    if takes_needs(forward):
        params = inspect.signature(forward).parameters.values()
        user.__signature__ = inspect.Signature([p for p in params if p.name != "needs"])
    user.vjp = vjp
    user.double = double
    user.inputs = inputs
    user.constant = constant
    user.sparse = None  # the form of it for sparse tensors
    registry[own_name] = user
    every.add(user)
    return user


def has_sparse(*inputs: Any) -> bool:
    """Whether a tensor among these is sparse."""
    return any(isinstance(x, Tensor) and isinstance(x.array, SparseArray) for x in inputs)


def sparse_form(user: Any) -> Callable:
    """What to call instead of an op that got a sparse tensor."""
    if user.sparse is None:
        raise DtypeError(
            f"op {user.__name__!r} does not take sparse tensors; call .to_dense() on them first"
        )
    return user.sparse


def missing(name: str) -> Callable:
    """The VJP of an op that has none yet."""

    def vjp(residuals: Any, g: Any) -> tuple:
        raise NotImplementedError(f"op {name!r} has no VJP: register one with @{name}.vjp")

    return vjp
