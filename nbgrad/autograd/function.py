"""Function: a differentiable operation as a class, written over tensors, as in PyTorch.

`@op` is the faster way, written over arrays; this one ports.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.anomaly import Trace, call_site
from nbgrad.autograd.double import once
from nbgrad.autograd.grad_mode import is_grad_enabled, set_enabled
from nbgrad.autograd.node import Node
from nbgrad.autograd.node_name import FunctionName
from nbgrad.autograd.tensor import Tensor
from nbgrad.autograd.watch import Watch
from nbgrad.errors import DtypeError, GraphError, ShapeError


class Context:
    """What `forward` and `backward` share as `ctx`; any attribute may be set on it.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        Per argument of `forward`, whether it requires grad.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.to_save: tuple = ()
        self.non_differentiable: tuple = ()
        self.materialize_grads = True
        self.released = False

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`; they are freed with the graph."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise DtypeError(
                    f"save_for_backward can only save variables, but argument is of type "
                    f"{type(tensor).__name__}; keep other things as attributes of ctx"
                )
        self.to_save = tensors

    @property
    def saved_tensors(self) -> tuple:
        """What `save_for_backward` kept."""
        if self.released:
            raise GraphError(
                "Trying to backward through the graph a second time: the saved tensors were freed "
                "by the first backward pass. Give that first pass retain_graph=True"
            )
        return self.to_save

    def mark_non_differentiable(self, *results: Tensor) -> None:
        """Say, in `forward`, which results carry no gradient."""
        self.non_differentiable = results

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for results that got no gradient."""
        self.materialize_grads = value

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Not supported: results are new tensors."""
        raise NotImplementedError(
            "mark_dirty: in-place Functions are not supported; return a new tensor"
        )


class FunctionNode(Node):
    """A node whose VJP is the `backward` of a `Function`."""

    __slots__ = ()

    def saved(self) -> list:
        return [tensor.array for tensor in self.residuals[0].to_save if tensor is not None]

    def release(self) -> None:
        (ctx, *_) = self.residuals
        if ctx.to_save:
            ctx.to_save = ()
            ctx.released = True


class Function:
    """Base of differentiable operations written over tensors.

    A subclass has two static methods: `forward(ctx, *args)`, which returns a tensor or a tuple of
    tensors, and `backward(ctx, *grads)`, which returns one gradient or None per argument of forward.
    Call it with `apply`.  `forward` runs with recording off; `backward`, too, but under `create_graph=True`: then what it
    computes of its arguments and of saved inputs and results can be differentiated again.

    Examples
    --------
    >>> import nbgrad as nb
    >>> class Exp(nb.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (y,) = ctx.saved_tensors
    ...         return grad * y
    >>> x = nb.zeros(2, requires_grad=True)
    >>> Exp.apply(x).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """

    @staticmethod
    def forward(ctx: Context, *args: Any) -> Any:
        """Compute the result."""
        raise NotImplementedError("You must implement the forward function for custom Function.")

    @staticmethod
    def backward(ctx: Context, *grads: Any) -> Any:
        """Pull the gradients of the results back to the arguments."""
        raise NotImplementedError("You must implement the backward function for custom Function.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and record it."""
        is_input = [isinstance(arg, Tensor) for arg in args]
        needs = tuple([is_in and arg.requires_grad for is_in, arg in zip(is_input, args)])
        recording = True in needs and is_grad_enabled()
        ctx = Context(needs)
        record = Watch.record
        start_ns = time.perf_counter_ns() if record is not None else 0
        previous = set_enabled(False)
        try:
            results = cls.forward(ctx, *args, **kwargs)
        finally:
            set_enabled(previous)
        if record is not None:
            record("forward", cls.__name__, start_ns)
        one = not isinstance(results, tuple | list)
        parts = [results] if one else list(results)
        for part in parts:
            if not isinstance(part, Tensor) and one:
                raise DtypeError(
                    f"{cls.__name__}.forward returned {type(part).__name__}; it returns a Tensor or "
                    f"a tuple of them"
                )
        if recording:
            edges = tuple(
                [
                    ((arg.node or arg, arg.idx) if need else None)
                    for is_in, arg, need in zip(is_input, args, needs)
                    if is_in
                ]
            )
            like = [(part.array.shape, part.array.dtype) if isinstance(part, Tensor) else None
                    for part in parts]  # fmt: skip
            forms = [(arg.array.shape, arg.array.dtype) for arg in args if isinstance(arg, Tensor)]
            saved = [next((idx for idx, part in enumerate(parts) if part is kept), None)
                     for kept in ctx.to_save]  # fmt: skip
            residuals = (ctx, cls, is_input, forms, like, saved)
            node = FunctionNode(pull_back, residuals, edges, FunctionName(cls.__name__), len(parts))
            if Trace.on:
                node.site = call_site()
            fixed = {id(part) for part in ctx.non_differentiable}
            parts = [
                Tensor(part.array, True, node, idx)
                if isinstance(part, Tensor) and id(part) not in fixed
                else part
                for idx, part in enumerate(parts)
            ]
        return parts[0] if one else tuple(parts)


def pull_back(residuals: Any, g: Any) -> tuple:
    """The VJP of all Functions: wrap, call `backward`, check, unwrap."""
    grads = g if len(residuals[4]) != 1 else [g]
    wrapped = [None if part is None else Tensor(part) for part in grads]
    previous = set_enabled(False)
    try:
        answers = call_backward(residuals, wrapped)
    finally:
        set_enabled(previous)
    return tuple([None if answer is None else answer.array for answer in answers])


def pull_back_tensors(node: Node, g: Any) -> list:
    """The same over tensors, recorded; results that were saved are linked to the node."""
    ctx, cls, _, _, _, saved = node.residuals
    if getattr(cls.backward, "once", False):
        return once(node, g)
    kept = ctx.to_save
    try:
        ctx.to_save = tuple(
            [x if idx is None else Tensor(x.array, True, node, idx) for x, idx in zip(kept, saved)]
        )
        return call_backward(node.residuals, g if isinstance(g, list) else [g])
    finally:
        ctx.to_save = kept


pull_back.over_tensors = pull_back_tensors  # type: ignore[attr-defined]


def call_backward(residuals: Any, grads: list) -> list:
    """Call `backward` with a tensor or None per result; the checked gradient, or None, of each tensor argument."""
    ctx, cls, is_input, forms, like, _ = residuals
    given: list[Tensor | None] = []
    for part, form in zip(grads, like):
        missing = part is None and ctx.materialize_grads and form is not None
        given.append(Tensor(np.zeros(*form)) if missing else part)
    answers = cls.backward(ctx, *given)
    answers = tuple(answers) if isinstance(answers, tuple | list) else (answers,)
    n = len(is_input)
    if len(answers) > n and all(answer is None for answer in answers[n:]):
        answers = answers[:n]
    if len(answers) != n:
        raise ShapeError(
            f"function {cls.__name__}.backward returned an incorrect number of gradients "
            f"(expected {n}, got {len(answers)}): one per argument of forward, None where there is none"
        )
    own = [answer for answer, is_in in zip(answers, is_input) if is_in]
    return [checked(cls.__name__, number, answer, *form)
            for number, (answer, form) in enumerate(zip(own, forms))]  # fmt: skip


def checked(name: str, number: int, answer: Any, shape: tuple, dtype: Any) -> Tensor | None:
    """One gradient that `backward` returned, in the dtype of its input."""
    if answer is None:
        return None
    if not isinstance(answer, Tensor):
        raise DtypeError(
            f"function {name}.backward returned {type(answer).__name__} as gradient {number}, not a Tensor or None"
        )
    if answer.array.shape != shape:
        raise ShapeError(
            f"Function {name} returned an invalid gradient at index {number} - got shape {answer.array.shape} but "
            f"expected shape compatible with {shape}"
        )
    return answer if answer.array.dtype == dtype else answer.to(dtype)


def once_differentiable(backward: Callable) -> Callable:
    """Decorator of a Function's `backward` that can't be differentiated: a second derivative raises.

    Examples
    --------
    >>> import nbgrad as nb
    >>> class Same(nb.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x.clone()
    ...     @staticmethod
    ...     @nb.autograd.function.once_differentiable
    ...     def backward(ctx, grad):
    ...         return grad
    >>> x = nb.ones(1, requires_grad=True)
    >>> nb.autograd.grad(Same.apply(x), x, create_graph=True)[0].grad_fn
    <SameBackward0>
    """
    backward.once = True  # type: ignore[attr-defined]
    return backward
