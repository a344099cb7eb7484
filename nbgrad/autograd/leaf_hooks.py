"""Hooks of leaves, in the order in which a pass runs them on the sum that reached the leaf.

    leaf.hooks = {id: hook, ...         of the tensor        gradient -> its replacement, or None
                  "pre": {id: hook}     of AccumulateGrad    (gradient,) -> their replacements, or None
                  "post": {id: hook}    of AccumulateGrad    ((), (gradient,)) -> nothing
                  "stored": {id: hook}}                      leaf -> nothing, when `.grad` holds the sum

A distributed pass, which does not touch `.grad`, does not run "stored", as in PyTorch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.accumulate_grad import AccumulateGrad
from nbgrad.autograd.hooks import RemovableHandle, as_tensors, call_hooks, need_grad
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import GraphError


def register(leaf: Tensor, when: str, hook: Callable) -> RemovableHandle:
    if leaf.hooks is None:
        leaf.hooks = {}
    hooks = leaf.hooks.setdefault(when, {})
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_prehook(self: AccumulateGrad, hook: Callable[[tuple], Any]) -> RemovableHandle:
    """Call `hook((gradient,))` before the sum of a pass is stored; what it returns, if not None, takes its place.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(1, requires_grad=True)
    >>> y = x * 3
    >>> handle = y.grad_fn.next_functions[0][0].register_prehook(lambda grads: (grads[0] * 2,))
    >>> y.backward()
    >>> x.grad
    tensor([6.])
    """
    return register(self.variable, "pre", hook)


def register_hook(self: AccumulateGrad, hook: Callable[[tuple, tuple], Any]) -> RemovableHandle:
    """Call `hook((), (gradient,))` after the sum of a pass is stored.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(1, requires_grad=True)
    >>> y = x * 3
    >>> handle = y.grad_fn.next_functions[0][0].register_hook(lambda none, given: print(given[0]))
    >>> y.backward()
    tensor([3.])
    """
    return register(self.variable, "post", hook)


def register_post_accumulate_grad_hook(
    self: Tensor, hook: Callable[[Tensor], Any]
) -> RemovableHandle:
    """Call `hook(leaf)` each time a pass of this process has added to the leaf's `.grad`.

    Not called by distributed passes, which leave `.grad` alone.

    Raises
    ------
    GraphError
        If the tensor is no leaf, or does not require grad.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(1, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
    >>> (x * 3).backward()
    tensor([3.])
    """
    need_grad(self, "register a hook")
    if self.node is not None:
        raise GraphError(
            f"post accumulate grad hooks cannot be registered on non-leaf tensors, and this one is a result of "
            f"{self.node.name!r}: nothing is accumulated into it; register_hook sees its gradient"
        )
    return register(self, "stored", hook)


def leaf_tensor(leaf: Tensor, g: Tensor) -> Tensor:
    """Run the hooks of a leaf on the sum of a pass; returns what is added to its gradient."""
    hooks = leaf.hooks
    if not hooks:
        return g
    g = call_hooks({key: hook for key, hook in hooks.items() if type(key) is int}, g)
    for hook in tuple(hooks.get("pre", {}).values()):
        answer = hook((g,))
        if answer is not None:
            (given,) = as_tensors(answer, hook)
            g = g if given is None else given
    return g


def run_leaf(leaf: Tensor, g: np.ndarray) -> np.ndarray:
    """`leaf_tensor` on an array."""
    return leaf_tensor(leaf, Tensor(g)).array if leaf.hooks else g


def run_leaf_post(leaf: Tensor, g: Any) -> None:
    """Run what wants to see the sum that `run_leaf` returned, after it was stored."""
    for hook in tuple(leaf.hooks.get("post", {}).values()):  # type: ignore[union-attr]
        hook((), (g if isinstance(g, Tensor) else Tensor(g),))


def run_stored(leaf: Tensor) -> None:
    """Run what waits for `.grad`."""
    for hook in tuple(leaf.hooks.get("stored", {}).values()):  # type: ignore[union-attr]
        hook(leaf)


AccumulateGrad.register_prehook = register_prehook  # type: ignore[attr-defined]
AccumulateGrad.register_hook = register_hook  # type: ignore[attr-defined]
Tensor.register_post_accumulate_grad_hook = register_post_accumulate_grad_hook  # type: ignore[attr-defined]
