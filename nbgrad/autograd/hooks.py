"""Hooks on tensors: functions that see, and may replace, a gradient on its way.

A hook of a leaf is kept by the leaf, and sees the sum of a whole pass: `leaf_hooks.py`.  A hook of a result is kept by
the node that produced it, in `node.hooks`, under the number of the output:

    node.hooks = {0: {id: hook, ...}, ("grad", 0): weak reference to a tensor that wants its .grad}

A node has hooks of its own, too, under "pre" and "post".  Engines call `run_pre` before a node's VJP and `run_post` after it;
where a pass creates a graph, `pre_tensors` and `post_tensors`.
"""

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from nbgrad.autograd.node import Node
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError, GraphError, ShapeError

next_id = itertools.count().__next__


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook off again.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(1, requires_grad=True)
    >>> with x.register_hook(print):
    ...     (x * 3).sum().backward()
    tensor([3.])
    """

    def __init__(self, hooks: dict) -> None:
        self.hooks = hooks
        self.id = next_id()

    def remove(self) -> None:
        """Take the hook off; twice is fine."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> "RemovableHandle":
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


def need_grad(tensor: Tensor, what: str) -> None:
    if not tensor.requires_grad:
        raise GraphError(
            f"cannot {what} on a tensor that doesn't require gradient: no backward pass will ever reach it; "
            f"set requires_grad before the forward"
        )


def register_hook(tensor: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """Call `hook(grad)` in every backward pass that reaches this tensor.

    Parameters
    ----------
    hook : callable
        Gets the gradient as a Tensor, which it must not write in place.  What it returns, if not
        None, takes the gradient's place.

    Returns
    -------
    RemovableHandle

    Raises
    ------
    GraphError
        If the tensor does not require grad.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(2, requires_grad=True)
    >>> handle = x.register_hook(lambda grad: grad * 10)
    >>> x.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    """
    need_grad(tensor, "register a hook")
    node = tensor.node
    if node is None:
        if tensor.hooks is None:
            tensor.hooks = {}
        hooks = tensor.hooks
    else:
        if node.hooks is None:
            node.hooks = {}
        hooks = node.hooks.setdefault(tensor.idx, {})
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def retain_grad(tensor: Tensor) -> None:
    """Keep the gradient of this result in its `.grad`, as leaves do anyway.

    Raises
    ------
    GraphError
        If the tensor does not require grad.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(2, requires_grad=True)
    >>> y = x * 2
    >>> y.retain_grad()
    >>> y.sum().backward()
    >>> y.grad
    tensor([1., 1.])
    """
    need_grad(tensor, "retain the grad")
    node = tensor.node
    if node is not None:
        if node.hooks is None:
            node.hooks = {}
        node.hooks["grad", tensor.idx] = weakref.ref(tensor)  # weak: the tensor holds the node


def call_hooks(hooks: dict, g: Tensor) -> Tensor:
    """The gradient after all hooks, in the order in which they were registered."""
    for hook in tuple(hooks.values()):
        answer = hook(g)
        if answer is None:
            continue
        if not isinstance(answer, Tensor):
            raise DtypeError(
                f"hook {hook!r} returned {type(answer).__name__}; a hook returns a Tensor or None"
            )
        if answer.array.shape != g.array.shape:
            raise ShapeError(
                f"hook {hook!r} has changed the size of value: it returned shape {answer.array.shape} for a gradient "
                f"of shape {g.array.shape}"
            )
        g = answer
    return g


def keep(tensor: Tensor, g: Tensor) -> None:
    """Add a gradient to the `.grad` of a result that wants it."""
    if g.requires_grad:  # the pass creates a graph
        tensor.grad = g if tensor.grad is None else tensor.grad + g
    else:
        # A copy: other cotangents may alias g, and the user may write into .grad.
        tensor.grad = Tensor(g.array.copy() if tensor.grad is None else tensor.grad.array + g.array)


def pre_tensors(node: Node, parts: list) -> list:
    """Run the hooks of a node's outputs on their cotangents, then its pre-hooks; returns what its VJP gets."""
    hooks: Any = node.hooks
    parts = list(parts)
    for idx, part in enumerate(parts):
        if part is None:
            continue
        own, wants = hooks.get(idx), hooks.get(("grad", idx))
        if own:
            parts[idx] = part = call_hooks(own, part)
        tensor = wants() if wants is not None else None
        if tensor is not None:
            keep(tensor, part)
    for hook in tuple(hooks.get("pre", {}).values()):
        answer = hook(tuple(parts))
        if answer is not None:
            parts = as_tensors(answer, hook)
    return parts


def post_tensors(node: Node, cotangents: Any, parts: list) -> Any:
    """Run the post-hooks of a node on what its VJP returned; returns what goes to its inputs."""
    for hook in tuple(node.hooks.get("post", {}).values()):  # type: ignore[union-attr]
        answer = hook(tuple(cotangents), tuple(parts))
        if answer is not None:
            cotangents = as_tensors(answer, hook)
    return cotangents


def as_tensors(answer: Any, hook: Any) -> list:
    tensors = [answer] if isinstance(answer, Tensor) else list(answer)
    if not all(t is None or isinstance(t, Tensor) for t in tensors):
        raise DtypeError(
            f"hook {hook!r} returned {answer!r}; a hook returns Tensors, None for absent ones, or None"
        )
    return tensors


def run_pre(node: Node, g: Any) -> Any:
    """`pre_tensors` on arrays: g is one, or a list with one or None per output."""
    if node.n_outputs == 1:
        return unwrap(pre_tensors(node, wrap([g])))[0]
    return unwrap(pre_tensors(node, wrap(g)))


def run_post(node: Node, cotangents: Any, g: Any) -> Any:
    """`post_tensors` on arrays."""
    given = wrap(g if isinstance(g, list) else [g])
    return unwrap(post_tensors(node, wrap(cotangents), given))


def wrap(arrays: Any) -> list:
    return [None if array is None else Tensor(array) for array in arrays]


def unwrap(tensors: Any) -> list:
    return [None if t is None else t.array for t in tensors]


def register_node_hook(node: Node, when: str, hook: Callable) -> RemovableHandle:
    if node.hooks is None:
        node.hooks = {}
    hooks = node.hooks.setdefault(when, {})
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_prehook(node: Node, hook: Callable[[tuple], Any]) -> RemovableHandle:
    """Call `hook(grad_outputs)` before the node's VJP; what it returns, if not None, takes their place.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(1, requires_grad=True)
    >>> y = x * 3
    >>> handle = y.grad_fn.register_prehook(lambda grads: (grads[0] * 2,))
    >>> y.backward()
    >>> x.grad
    tensor([6.])
    """
    return register_node_hook(node, "pre", hook)


def register_posthook(node: Node, hook: Callable[[tuple, tuple], Any]) -> RemovableHandle:
    """Call `hook(grad_inputs, grad_outputs)` after the node's VJP; what it returns, if not None, goes on instead.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(1, requires_grad=True)
    >>> y = x * 3
    >>> handle = y.grad_fn.register_hook(lambda grads, given: (grads[0] + given[0],))
    >>> y.backward()
    >>> x.grad
    tensor([4.])
    """
    return register_node_hook(node, "post", hook)


Node.register_prehook = register_prehook  # type: ignore[attr-defined]
Node.register_hook = register_posthook  # type: ignore[attr-defined]
Tensor.register_hook = register_hook  # type: ignore[attr-defined]
Tensor.retain_grad = retain_grad  # type: ignore[attr-defined]
