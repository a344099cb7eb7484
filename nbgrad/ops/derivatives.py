"""Whole derivatives of functions: vjp, jvp, jacobian, hessian, vhp, hvp; known as `nbgrad.autograd.functional`.

    function  R^n -> R^m       jacobian  (m, n)      vjp  v^T J, one backward pass      jvp  J v, two of them
    function  R^n -> R         hessian   (n, n)      vhp  v^T H                         hvp  H v

jvp needs no forward mode: g -> J^T g is linear, so its derivative by g, applied to v, is J v.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbgrad.autograd.derive import grad
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import GraphError, ShapeError
from nbgrad.ops.join import stack
from nbgrad.ops.shape import reshape


def as_tuple(value: Any) -> tuple[tuple, bool]:
    """A tuple of tensors, and whether it was one."""
    return (tuple(value), True) if isinstance(value, tuple | list) else ((value,), False)


def plain(values: tuple, is_tuple: bool) -> Any:
    return values if is_tuple else values[0]


class Call:
    """A function called on inputs that require grad."""

    def __init__(self, name: str, func: Callable, inputs: Any, create_graph: bool) -> None:
        given, self.inputs_are_tuple = as_tuple(inputs)
        for number, x in enumerate(given):
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{name}: the inputs must be Tensors, but input {number} is {type(x).__name__}"
                )
        # With create_graph what is returned can be differentiated by the tensors that were given.
        self.inputs = tuple(
            x.clone() if create_graph and x.requires_grad else x.detach().requires_grad_()
            for x in given
        )
        self.outputs, self.outputs_are_tuple = as_tuple(func(*self.inputs))

    def checked(self, strict: bool, what: str) -> None:
        """With `strict`, refuse outputs that depend on no input."""
        for number, y in enumerate(self.outputs):
            if strict and not y.requires_grad:
                raise GraphError(
                    f"Output {number} of the user-provided function does not require gradients. The outputs must be computed "
                    f"in a differentiable manner from the input when running in strict mode ({what})"
                )

    def given_back(self, create_graph: bool) -> Any:
        outputs = tuple(y if create_graph else y.detach() for y in self.outputs)
        return plain(outputs, self.outputs_are_tuple)


def directions(name: str, v: Any, like: tuple) -> tuple:
    """One tensor per tensor of `like`, of its shape; ones for None if that is one element."""
    if v is None:
        if len(like) != 1 or like[0].array.size != 1:
            raise ShapeError(
                f"{name}: The vector v can only be None if there is one tensor with one element; give v"
            )
        return (Tensor(np.ones_like(like[0].array)),)
    found, _ = as_tuple(v)
    if len(found) != len(like):
        raise ShapeError(f"{name}: v has {len(found)} tensors, and {len(like)} are needed")
    for part, x in zip(found, like):
        if part.shape != x.shape:
            raise ShapeError(
                f"{name}: v has size {tuple(part.shape)}, which is not that of its tensor, {tuple(x.shape)}"
            )
    return found


def slopes(outputs: Any, inputs: Any, cotangents: Any, keep: bool, strict: bool) -> tuple:
    """`grad` over those outputs that have a graph; zeros where none arrives."""
    pairs = [(y, g) for y, g in zip(outputs, cotangents) if y.requires_grad]
    if not pairs:
        return tuple(Tensor(np.zeros_like(x.array)) for x in inputs)
    return grad(
        [y for y, _ in pairs], inputs, [g for _, g in pairs],
        create_graph=keep, allow_unused=not strict, materialize_grads=not strict,
    )  # fmt: skip


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """The result of a function, and the product of a vector with its Jacobian, v^T J.

    Parameters
    ----------
    func : callable
        Takes tensors, returns tensors.
    inputs : Tensor or tuple of Tensor
        Where to differentiate.
    v : Tensor or tuple of Tensor, optional
        One per output, of its shape; needed unless the output is one element.
    create_graph : bool
        Whether both can be differentiated again.
    strict : bool
        Raise where an output does not depend on an input, instead of giving zeros.

    Returns
    -------
    (outputs, v^T J)
        The second has the shapes of the inputs.

    Examples
    --------
    >>> import nbgrad as nb
    >>> y, product = nb.autograd.functional.vjp(nb.exp, nb.zeros(2), nb.tensor([1.0, 2.0]))
    >>> product
    tensor([1., 2.])
    """
    call = Call("vjp", func, inputs, create_graph)
    call.checked(strict, "vjp")
    cotangents = directions("vjp", v, call.outputs)
    found = slopes(call.outputs, call.inputs, cotangents, create_graph, strict)
    return call.given_back(create_graph), plain(found, call.inputs_are_tuple)


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """The result of a function, and the product of its Jacobian with a vector, J v.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As for `vjp`.
    v : Tensor or tuple of Tensor, optional
        One per input, of its shape; needed unless the input is one element.

    Returns
    -------
    (outputs, J v)
        The second has the shapes of the outputs.

    Examples
    --------
    >>> import nbgrad as nb
    >>> y, product = nb.autograd.functional.jvp(nb.exp, nb.zeros(2), nb.tensor([1.0, 2.0]))
    >>> product
    tensor([1., 2.])
    """
    call = Call("jvp", func, inputs, create_graph)
    call.checked(strict, "jvp")
    tangents = directions("jvp", v, call.inputs)
    dummies = tuple(Tensor(np.zeros_like(y.array), True) for y in call.outputs)
    pulled = slopes(call.outputs, call.inputs, dummies, True, strict)
    found = slopes(pulled, dummies, tangents, create_graph, False)
    return call.given_back(create_graph), plain(found, call.outputs_are_tuple)


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
) -> Any:
    """The Jacobian of a function, one backward pass per element of its outputs.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As for `vjp`.
    vectorize : bool
        PyTorch's; it changes nothing.

    Returns
    -------
    Tensor, or tuples of them
        Shape (*output, *input); a tuple over inputs where those are one, in a tuple over outputs where these are one.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.autograd.functional.jacobian(lambda x: x * x, nb.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    call = Call("jacobian", func, inputs, create_graph)
    call.checked(strict, "jacobian")
    table = []
    for y in call.outputs:
        rows = []
        for place in range(y.array.size):
            g = np.zeros_like(y.array, order="C")
            g.reshape(-1)[place] = 1
            rows.append(kept_slopes(y, call.inputs, Tensor(g), create_graph, strict))
        blocks = []
        for number, x in enumerate(call.inputs):
            shape = (*y.array.shape, *x.array.shape)
            parts = [row[number] for row in rows]
            blocks.append(
                reshape(stack(parts), shape) if parts else Tensor(np.zeros(shape, x.array.dtype))
            )
        table.append(plain(tuple(blocks), call.inputs_are_tuple))
    return plain(tuple(table), call.outputs_are_tuple)


def kept_slopes(y: Tensor, inputs: tuple, g: Tensor, create_graph: bool, strict: bool) -> tuple:
    """One row: the graph stays for the next one."""
    if not y.requires_grad:
        return tuple(Tensor(np.zeros_like(x.array)) for x in inputs)
    return grad(
        y, inputs, g, retain_graph=True, create_graph=create_graph,
        allow_unused=not strict, materialize_grads=not strict,
    )  # fmt: skip


def one_number(name: str, func: Callable) -> Callable:
    """The function, refused where it gives anything but one element."""

    def checked(*inputs: Any) -> Any:
        y = func(*inputs)
        if not isinstance(y, Tensor) or y.array.size != 1:
            raise ShapeError(
                f"{name}: the function given must return a single Tensor with a single element, got "
                f"{tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__}"
            )
        return y.reshape(())

    return checked


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
) -> Any:
    """The second derivatives of a function of one number.

    Parameters
    ----------
    func : callable
        Takes tensors, returns a tensor of one element.
    inputs, create_graph, strict, vectorize
        As for `jacobian`.

    Returns
    -------
    Tensor, or tuple of tuples of them
        Shape (*input i, *input j) in row i, column j.

    Raises
    ------
    ShapeError
        If the function gives more than one element.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.autograd.functional.hessian(lambda x: (x**3).sum(), nb.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    given, is_tuple = as_tuple(inputs)

    def gradient(*tensors: Tensor) -> tuple:
        y = one_number("hessian", func)(*tensors)
        return slopes((y,), tensors, (Tensor(np.ones_like(y.array)),), True, strict)

    table = jacobian(gradient, given, create_graph, strict)
    return table if is_tuple else table[0][0]


def vhp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """The result of a function of one number, and the product of a vector with its Hessian: one more backward pass.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.autograd.functional.vhp(lambda x: (x**3).sum(), nb.tensor([1.0, 2.0]), nb.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    call = Call("vhp", one_number("vhp", func), inputs, create_graph)
    call.checked(strict, "vhp")
    seeds = (Tensor(np.ones_like(call.outputs[0].array)),)
    gradient = slopes(call.outputs, call.inputs, seeds, True, strict)
    found = slopes(gradient, call.inputs, directions("vhp", v, call.inputs), create_graph, strict)
    return call.given_back(create_graph), plain(found, call.inputs_are_tuple)


def hvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """The result of a function of one number, and the product of its Hessian with a vector.

    The Hessian is symmetric, so this is `vhp`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.autograd.functional.hvp(lambda x: (x**3).sum(), nb.tensor([1.0, 2.0]), nb.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return vhp(func, inputs, v, create_graph, strict)
