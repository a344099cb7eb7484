"""einsum and tensordot: sums of products named by letters, computed as matrix products.

    "bik,bkj->bij"     labels of both and of the result are batch,  labels of both alone are summed,  the rest is free:
    operand a  ->  (batch, free of a, summed)   @   (batch, summed, free of b)   ->  (batch, free of a, free of b)

Every step is an operation with derivatives of any order, so einsum has them, too.
"""

import math
import string
from typing import Any

import numpy as np

from nbgrad.errors import ShapeError
from nbgrad.ops.arithmetic import mul
from nbgrad.ops.dims import dim_of
from nbgrad.ops.matmul import matmul
from nbgrad.ops.rearrange import diagonal
from nbgrad.ops.reduce import sum
from nbgrad.ops.shape import permute, reshape


class Labelled:
    """A tensor with one label per dimension."""

    def __init__(self, x: Any, labels: str) -> None:
        self.x, self.labels = x, labels

    def without(self, gone: Any) -> "Labelled":
        """Summed over some of its labels."""
        dims = [d for d, label in enumerate(self.labels) if label in gone]
        if not dims:
            return self
        return Labelled(sum(self.x, dims), "".join(a for a in self.labels if a not in gone))

    def distinct(self) -> "Labelled":
        """The diagonal wherever a label occurs twice."""
        x, labels = self.x, self.labels
        for label in dict.fromkeys(labels):
            while labels.count(label) > 1:
                a = labels.index(label)
                b = labels.index(label, a + 1)
                x = diagonal(x, 0, a, b)
                labels = labels[:a] + labels[a + 1 : b] + labels[b + 1 :] + label
        return Labelled(x, labels)

    def ordered(self, wanted: str) -> Any:
        """The tensor with its dimensions in another order."""
        order = [self.labels.index(label) for label in wanted]
        return self.x if order == sorted(order) else permute(self.x, order)


def einsum(equation: str, *operands: Any) -> Any:
    """Sums of products, by Einstein's convention.

    Parameters
    ----------
    equation : str
        Labels of each operand, separated by commas, and after `->` those of the result; a label that is not in the result
        is summed over.  Without `->` the result has the labels that occur once, in alphabetical order.  `...` stands for
        dimensions that are broadcast.
    *operands : Tensor
        One per group of labels, or one list of them.

    Returns
    -------
    Tensor

    Raises
    ------
    ShapeError
        If the equation does not fit the operands, or lengths of one label differ.

    References
    ----------
    Einstein 1916, Die Grundlage der allgemeinen Relativitaetstheorie, section 5.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.einsum("ij,j->i", nb.tensor([[1.0, 2.0], [3.0, 4.0]]), nb.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    groups, result = parsed(equation, operands)
    lengths: dict[str, int] = {}
    for x, labels in zip(operands, groups):
        for n, label in zip(x.shape, labels):
            if lengths.setdefault(label, n) != n:
                if 1 not in (n, lengths[label]):
                    raise ShapeError(
                        f"einsum(): label {label!r} has lengths {lengths[label]} and {n} in {equation!r}: operands do "
                        f"not broadcast with remapped shapes"
                    )
                lengths[label] = max(n, lengths[label]) if 0 not in (n, lengths[label]) else 0
    parts = [Labelled(x, labels).distinct() for x, labels in zip(operands, groups)]
    # A length of 1 beside a longer one multiplies all of it: the label can go.
    parts = [
        part.without({a for n, a in zip(part.x.shape, part.labels) if n == 1 != lengths[a]})
        for part in parts
    ]
    for step in path_of(parts, result, lengths):
        chosen = [parts.pop(number) for number in sorted(step, reverse=True)]
        while len(chosen) > 1:
            a, b = chosen.pop(), chosen.pop()
            kept = set(result).union(*[part.labels for part in (*parts, *chosen)])
            alone = a.without(set(a.labels) - kept - set(b.labels))
            chosen.append(contracted(alone, b.without(set(b.labels) - kept - set(a.labels)), kept))
        parts += chosen
    return parts[0].without(set(parts[0].labels) - set(result)).ordered(result)


def parsed(equation: str, operands: tuple) -> tuple[list[str], str]:
    """Labels of the operands and of the result, dots replaced by labels of their own."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    groups = left.split(",")
    if len(groups) != len(operands):
        raise ShapeError(
            f"einsum(): {equation!r} has labels for {len(groups)} operands, and {len(operands)} are given"
        )
    spare = [label for label in string.ascii_letters if label not in equation]
    n_dots = 0
    for x, group in zip(operands, groups):
        named, dots = len(group.replace("...", "")), group.count("...")
        if dots > 1 or named > x.ndim or (not dots and named != x.ndim):
            raise ShapeError(
                f"einsum(): the number of subscripts in {group!r} does not match the number of dimensions "
                f"{x.ndim} of its operand"
            )
        n_dots = max(n_dots, (x.ndim - named) * dots)
    broad = "".join(spare[:n_dots])
    if not arrow:
        labels = "".join(groups).replace("...", "")
        right = "..." * bool(n_dots) + "".join(sorted(a for a in set(labels) if labels.count(a) == 1))  # fmt: skip
    filled = []
    for x, group in zip(operands, groups):
        own = x.ndim - len(group.replace("...", ""))
        filled.append(group.replace("...", broad[n_dots - own :]))
    result = right.replace("...", broad)
    for label in result:
        if result.count(label) > 1 or not any(label in group for group in filled):
            raise ShapeError(
                f"einsum(): output subscript {label!r} of {equation!r} must occur once in the output and in an operand"
            )
    for label in "".join(filled):
        if label not in string.ascii_letters:
            raise ShapeError(f"einsum(): invalid subscript {label!r} in {equation!r}: use letters")
    return filled, result


def path_of(parts: list[Labelled], result: str, lengths: dict[str, int]) -> list:
    """Which operands to contract next, step by step: the order of the fewest multiplications that NumPy finds."""
    if len(parts) < 3 or 0 in lengths.values():
        return [tuple(range(len(parts)))]
    text = ",".join(part.labels for part in parts) + "->" + result
    shapes = [np.broadcast_to(np.float32(0), [lengths[a] for a in part.labels]) for part in parts]
    return np.einsum_path(text, *shapes, optimize="greedy")[0][1:]


def contracted(a: Labelled, b: Labelled, kept: set) -> Labelled:
    """The sum of products of two operands over the labels that both have and nobody needs any more."""
    both = [label for label in a.labels if label in b.labels]
    batch = "".join(label for label in both if label in kept)
    inner = "".join(label for label in both if label not in kept)
    left = "".join(label for label in a.labels if label not in both)
    right = "".join(label for label in b.labels if label not in both)
    sizes = dict(zip(a.labels, a.x.shape)) | dict(zip(b.labels, b.x.shape))

    def count(labels: str) -> int:
        return math.prod(sizes[label] for label in labels)

    def lengths(labels: str) -> list[int]:
        return [sizes[label] for label in labels]

    x, y = a.ordered(batch + left + inner), b.ordered(batch + inner + right)
    shape = lengths(batch + left + right)
    if not inner:
        x = reshape(x, (*lengths(batch + left), *[1] * len(right)))
        y = reshape(y, (*lengths(batch), *[1] * len(left), *lengths(right)))
        return Labelled(mul(x, y), batch + left + right)
    x = reshape(x, (*[count(batch)] * bool(batch), count(left), count(inner)))
    y = reshape(y, (*[count(batch)] * bool(batch), count(inner), count(right)))
    return Labelled(reshape(matmul(x, y), tuple(shape)), batch + left + right)


def tensordot(x: Any, y: Any, dims: Any = 2) -> Any:
    """Sums of products over some dimensions of two tensors.

    Parameters
    ----------
    x, y : Tensor
        Operands.
    dims : int or pair of sequences of int
        The last so many dimensions of `x` against the first of `y`; or the dimensions of each.

    Returns
    -------
    Tensor
        With the other dimensions of `x`, then those of `y`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tensordot(nb.ones(2, 3), nb.ones(3, 4), 1).shape
    Size([2, 4])
    """
    if isinstance(dims, int):
        dims = (range(x.ndim - dims, x.ndim), range(dims))
    own, others = ([dim_of(d, z.ndim) for d in side] for z, side in zip((x, y), dims))
    if len(own) != len(others) or any(x.shape[a] != y.shape[b] for a, b in zip(own, others)):
        raise ShapeError(
            f"tensordot: contracted dimensions {own} of {tuple(x.shape)} and {others} of {tuple(y.shape)} need to match"
        )
    x_labels = string.ascii_lowercase[: x.ndim]
    spare = iter(string.ascii_uppercase)
    y_labels = "".join(x_labels[own[others.index(d)]] if d in others else next(spare) for d in range(y.ndim))  # fmt: skip
    free = [a for d, a in enumerate(x_labels) if d not in own]
    free += [a for d, a in enumerate(y_labels) if d not in others]
    return einsum(f"{x_labels},{y_labels}->{''.join(free)}", x, y)
