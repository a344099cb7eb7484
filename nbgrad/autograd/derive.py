"""What users call for gradients: `backward` adds them to `.grad`, `grad` returns them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbgrad.autograd import engine
from nbgrad.autograd.early import run_at_end
from nbgrad.autograd.grad_buffer import accumulate, one_like
from nbgrad.autograd.leaf_hooks import run_leaf_post, run_stored
from nbgrad.autograd.sparse import copied
from nbgrad.autograd.sweep import key_of, sweep
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import GraphError, ShapeError

Tensors = Tensor | Sequence[Tensor]


def listed(tensors: Any) -> list:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def paired(roots: list[Tensor], gradients: Any) -> list:
    """One gradient, or None, per root."""
    given = [None] * len(roots) if gradients is None else listed(gradients)
    if len(given) != len(roots):
        raise ShapeError(
            f"got {len(roots)} tensors and {len(given)} gradients; give one gradient (or None) each"
        )
    return given


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradients of one or more results to the `.grad` of the leaves they depend on.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
        The results to start from.
    grad_tensors : Tensor or sequence of (Tensor or None), optional
        Their cotangents; needed for results that are not one element.
    retain_graph : bool, optional
        Keep what the operations saved, so that another pass can run; as `create_graph` by default.
    create_graph : bool, optional
        Record how the gradients are computed, so that they can be differentiated, too.
    grad_variables : optional
        An old name of `grad_tensors`.
    inputs : Tensor or sequence of Tensor, optional
        Add to the `.grad` of these tensors, and of no others; they may be results.

    Raises
    ------
    GraphError
        If a result does not require grad, its graph was freed by an earlier pass, or a value that it needs was written
        in place.
    ShapeError
        If a cotangent is missing or has the wrong shape.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([1.0, 2.0], requires_grad=True)
    >>> nb.autograd.backward([x.sum(), (x * x).sum()])
    >>> x.grad
    tensor([3., 5.])
    """
    roots = listed(tensors)
    given = paired(roots, grad_variables if grad_tensors is None else grad_tensors)
    keep = create_graph if retain_graph is None else bool(retain_graph)
    if inputs is None and not create_graph:
        seeds = [seed(number, root, g) for number, (root, g) in enumerate(zip(roots, given))]
        engine.run(roots, seeds, keep)
        return
    chosen = None if inputs is None else wanted_inputs(inputs, "backward")
    starts = [
        start(number, root, g, create_graph) for number, (root, g) in enumerate(zip(roots, given))
    ]
    found = sweep(roots, starts, keep, create_graph, chosen)
    if chosen is None:
        chosen = [target for target, _ in found]
    for tensor in dict.fromkeys(chosen):
        g = found.get(key_of(tensor))
        if g is None:
            continue
        if create_graph:
            tensor.grad = g if tensor.grad is None else tensor.grad + g
        elif tensor.grad is None:
            tensor.grad = Tensor(copied(g))
        else:
            accumulate(tensor.grad, g)
        if tensor.hooks:
            run_leaf_post(tensor, g)
            run_stored(tensor)
    run_at_end()


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """The gradients of results by chosen tensors; no `.grad` is touched.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        The results to start from.
    inputs : Tensor or sequence of Tensor
        What to differentiate by: leaves or results on the way.
    grad_outputs : Tensor or sequence of (Tensor or None), optional
        Cotangents of `outputs`; needed for those that are not one element.
    retain_graph : bool, optional
        Keep what the operations saved, so that another pass can run; as `create_graph` by default.
    create_graph : bool, optional
        Record how the gradients are computed, so that they can be differentiated, too.
    only_inputs, is_grads_batched
        PyTorch's; only their defaults are supported.
    allow_unused : bool, optional
        Return None for an input that no output depends on, instead of raising; as `materialize_grads` by default.
    materialize_grads : bool, optional
        Return zeros for such an input.

    Returns
    -------
    tuple of (Tensor or None)
        One per input, in its shape and dtype.

    Raises
    ------
    GraphError
        If an input does not require grad, or is not used while `allow_unused` is False; and as `backward`.
    ShapeError
        If a cotangent is missing or has the wrong shape.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor(3.0, requires_grad=True)
    >>> (slope,) = nb.autograd.grad(x**3, x, create_graph=True)
    >>> nb.autograd.grad(slope, x)
    (tensor(18.),)
    """
    if is_grads_batched or not only_inputs:
        raise NotImplementedError(
            "grad: is_grads_batched=True and only_inputs=False are not supported; call grad once per cotangent"
        )
    roots, chosen = listed(outputs), wanted_inputs(inputs, "grad")
    given = paired(roots, grad_outputs)
    starts = [
        start(number, root, g, create_graph) for number, (root, g) in enumerate(zip(roots, given))
    ]
    keep = create_graph if retain_graph is None else bool(retain_graph)
    found = sweep(roots, starts, keep, create_graph, chosen)
    if allow_unused is None:
        allow_unused = materialize_grads
    answers: list[Tensor | None] = []
    for number, tensor in enumerate(chosen):
        g = found.get(key_of(tensor))
        if g is None and materialize_grads:
            answers.append(Tensor(np.zeros_like(tensor.array)))
        elif g is None and not allow_unused:
            raise GraphError(
                f"One of the differentiated Tensors appears to not have been used in the graph: no output depends on "
                f"input {number}, of shape {tuple(tensor.shape)}. Set allow_unused=True if this is the desired behavior"
            )
        else:
            answers.append(g if g is None or create_graph else Tensor(copied(g)))
    return tuple(answers)


def wanted_inputs(inputs: Any, what: str) -> list[Tensor]:
    chosen = listed(inputs)
    if not chosen:
        raise GraphError(f"'inputs' argument to {what}() cannot be empty")
    for number, tensor in enumerate(chosen):
        if not tensor.requires_grad:
            raise GraphError(
                f"One of the differentiated Tensors does not require grad: input {number}, of shape "
                f"{tuple(tensor.shape)}; call requires_grad_() on it before the forward"
            )
    return chosen


def seed(number: int, root: Tensor, gradient: Any) -> np.ndarray:
    """The cotangent to start from at one root."""
    if not root.requires_grad:
        raise GraphError(
            f"element {number} of tensors does not require grad and does not have a grad_fn: no leaf with "
            f"requires_grad=True took part in computing it, or it was computed under no_grad or detached"
        )
    data = root.array
    if gradient is None:
        if data.size != 1:
            raise ShapeError(
                f"grad can be implicitly created only for scalar outputs, and this one has shape "
                f"{data.shape}; reduce it (.sum(), .mean()) or pass backward(gradient=...)"
            )
        return one_like(data)
    g = gradient.array if isinstance(gradient, Tensor) else np.asarray(gradient)
    if g.shape != data.shape:
        raise ShapeError(
            f"Mismatch in shape: grad_output[{number}] has a shape of {g.shape} and "
            f"output[{number}] has a shape of {data.shape}; they must be equal"
        )
    return g if g.dtype == data.dtype else g.astype(data.dtype)


def start(number: int, root: Tensor, gradient: Any, as_tensor: bool) -> Any:
    """The cotangent to start from, as an array or as a tensor that keeps its own graph."""
    g = seed(number, root, gradient)
    if not as_tensor:
        return g
    if isinstance(gradient, Tensor) and gradient.requires_grad:
        return gradient if gradient.array is g else gradient.to(g.dtype)
    return Tensor(g)


def backward_method(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of this tensor to the `.grad` of the leaves it depends on.

    Parameters
    ----------
    gradient : Tensor, optional
        The cotangent to start from; ones for a tensor of one element.
    retain_graph : bool, optional
        Keep what the operations saved, so that another pass can run; as `create_graph` by default.
    create_graph : bool, optional
        Record how the gradients are computed, so that they can be differentiated, too.
    inputs : Tensor or sequence of Tensor, optional
        Add to the `.grad` of these tensors, and of no others.

    Raises
    ------
    GraphError
        If the tensor does not require grad, its graph was freed by an earlier pass, or a value that it needs was written
        in place.
    ShapeError
        If `gradient` is missing for a tensor of many elements, or has the wrong shape.
    """
    backward([self], [gradient], retain_graph, create_graph, inputs=inputs)


backward_method.__name__ = "backward"
Tensor.backward = backward_method  # type: ignore[attr-defined]
