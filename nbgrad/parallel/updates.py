"""Updates: what a step does with the sum of the gradients, as native functions over a range of elements.

    sgd        parameter, gradient, numbers
    momentum   parameter, gradient, buffer, numbers
    adam       parameter, gradient, m, v, numbers

`numbers` is an array of which only the first elements are read, so that they have the parameters' dtype.  The formulas are
those of `nbgrad.optim`; the gradient's factor (its sign, and the divisor of a mean) stands among the numbers.

Each has a form of two gradients, which adds them on the way, in whole lines (lines.py): the same bits, in one pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbgrad.jit.lines import Lines, lines
from nbgrad.jit.primitive import fabs, fsqrt
from nbgrad.jit.routine import Routine, routine
from nbgrad.optim import SGD, Adam, AdamW
from nbgrad.optim.optimizer import Optimizer

N_NUMBERS = 16  # elements of a row of numbers


@dataclass(frozen=True)
class Recipe:
    """How an optimizer's step is done in shared memory.

    update : the native function
    pair : its form of two gradients
    states : names, in the optimizer's state, of the arrays that it keeps per parameter
    numbers : (group, t, factor) -> what the function reads; `t` is the number of the step, from 1, and `factor` what each
              sum of gradients is multiplied by
    """

    update: Routine
    pair: Lines
    states: tuple[str, ...]
    numbers: Callable[[dict[str, Any], int, float], tuple]


@routine(arrays=3)
def sgd(p, g, c):
    lr, factor, decay = c[0], c[1], c[2]
    for i in range(p.size):
        p[i] -= lr * (factor * g[i] + decay * p[i])


@routine(arrays=4)
def momentum(p, g, buffer, c):
    lr, factor, decay, kept, new, inner, outer = c[0], c[1], c[2], c[3], c[4], c[5], c[6]
    for i in range(p.size):
        d = factor * g[i] + decay * p[i]
        b = kept * buffer[i] + new * d
        buffer[i] = b
        p[i] -= lr * (inner * d + outer * b)


@routine(arrays=5)
def adam(p, g, m, v, c):
    lr, factor, decay, keep1, new1, keep2, new2 = c[0], c[1], c[2], c[3], c[4], c[5], c[6]
    eps, scale, shrink = c[7], c[8], c[9]
    for i in range(p.size):
        d = factor * g[i] + decay * p[i]
        a = keep1 * m[i] + new1 * d
        b = keep2 * v[i] + new2 * d * d
        m[i] = a
        v[i] = b
        p[i] = shrink * p[i] - lr * a / (fsqrt(b) * scale + eps)


@lines(arrays=3, constants=3)
def sgd_pair(line):
    p, g, h = line.arrays
    lr, factor, decay = line.constants
    return {0: p - lr * (factor * (g + h) + decay * p)}


@lines(arrays=4, constants=7)
def momentum_pair(line):
    p, g, h, buffer = line.arrays
    lr, factor, decay, kept, new, inner, outer = line.constants
    d = factor * (g + h) + decay * p
    b = kept * buffer + new * d
    return {3: b, 0: p - lr * (inner * d + outer * b)}


@lines(arrays=5, constants=10)
def adam_pair(line):
    p, g, h, m, v = line.arrays
    lr, factor, decay, keep1, new1, keep2, new2, eps, scale, shrink = line.constants
    d = factor * (g + h) + decay * p
    a = keep1 * m + new1 * d
    b = keep2 * v + new2 * d * d
    return {3: a, 4: b, 0: shrink * p - lr * a / (b.sqrt() * scale + eps)}


@routine(arrays=2, fast=True)
def add_squares(x, total):
    """total[0] + total[1] is a sum in twice the precision of the dtype, or in float64."""
    more = np.float64(0)
    for i in range(x.size):
        more += np.float64(x[i]) * np.float64(x[i])
    more += np.float64(total[0]) + np.float64(total[1])
    total[0] = more
    total[1] = more - np.float64(total[0])


@routine(arrays=1, numbers=1)
def clip(c, members):
    """c: limit, factor of the sums, norm, factor of the clipping; then a pair of each member's slice, in their order."""
    squares = np.float64(0)
    for p in range(members):
        squares += np.float64(c[4 + 2 * p]) + np.float64(c[5 + 2 * p])
    norm = fsqrt(squares) * fabs(np.float64(c[1]))
    c[2] = norm
    shrink = np.float64(c[0]) / (norm + 1e-6)
    c[3] = shrink if shrink < 1.0 or shrink != shrink else 1.0


@routine(arrays=3)
def multiply(out, x, c):
    """out = x times the factor of the clipping."""
    factor = c[3]
    for i in range(x.size):
        out[i] = factor * x[i]


def sign(group: dict[str, Any]) -> float:
    return -1.0 if group["maximize"] else 1.0


def sgd_numbers(group: dict[str, Any], t: int, factor: float) -> tuple:
    return float(group["lr"]), sign(group) * factor, group["weight_decay"]


def momentum_numbers(group: dict[str, Any], t: int, factor: float) -> tuple:
    keep = float(group["momentum"])
    new = 1.0 if t == 1 else 1.0 - group["dampening"]
    inner, outer = (1.0, keep) if group["nesterov"] else (0.0, 1.0)
    return (*sgd_numbers(group, t, factor), keep, new, inner, outer)


def adam_numbers(group: dict[str, Any], t: int, factor: float) -> tuple:
    (beta1, beta2), lr, decay = group["betas"], float(group["lr"]), group["weight_decay"]
    return (
        lr / (1.0 - beta1**t),
        sign(group) * factor,
        decay,
        beta1,
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        group["eps"],
        1.0 / math.sqrt(1.0 - beta2**t),
        1.0,
    )


def adamw_numbers(group: dict[str, Any], t: int, factor: float) -> tuple:
    numbers = list(adam_numbers(group, t, factor))
    numbers[2], numbers[9] = 0.0, 1.0 - float(group["lr"]) * group["weight_decay"]
    return tuple(numbers)


def recipe_of(optimizer: Optimizer) -> Recipe:
    """How the optimizer's step is done.

    Raises
    ------
    ValueError
        If it is another one than SGD, Adam and AdamW, or one of its options has no form here.
    """
    kind, groups = type(optimizer), optimizer.param_groups
    if kind is SGD:
        momenta = {group["momentum"] != 0 for group in groups}
        if momenta == {False}:
            return Recipe(sgd, sgd_pair, (), sgd_numbers)
        if momenta == {True}:
            return Recipe(momentum, momentum_pair, ("momentum_buffer",), momentum_numbers)
        raise ValueError(
            "SharedParameters: some parameter groups of SGD have momentum and some have none; give all of them one, or none"
        )
    if kind in (Adam, AdamW):
        if any(group["amsgrad"] for group in groups):
            raise ValueError(
                f"SharedParameters has no form of {kind.__name__}(amsgrad=True); leave it away, or use "
                f"DistributedDataParallel, which works with every optimizer"
            )
        numbers = adam_numbers if kind is Adam else adamw_numbers
        return Recipe(adam, adam_pair, ("exp_avg", "exp_avg_sq"), numbers)
    raise ValueError(
        f"SharedParameters knows the steps of SGD, Adam and AdamW, not of {kind.__name__}; DistributedDataParallel works with "
        f"every optimizer"
    )
