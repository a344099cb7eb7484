"""Line search under the strong Wolfe conditions: bracket a step length, then zoom in by cubic interpolation."""

import math
from collections.abc import Callable

import numpy as np

Point = tuple[float, float, np.ndarray, float]  # step length, loss, gradient, slope along the line


def cubic(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Minimiser of the cubic that has the losses and slopes of two points, inside `bounds`; their middle if none.

    The bounds are the two points by default.
    """
    (x1, f1, _, s1), (x2, f2, _, s2) = (a, b) if a[0] <= b[0] else (b, a)
    lower, upper = bounds or (x1, x2)
    d1 = s1 + s2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - s1 * s2
    if square < 0:
        return (lower + upper) / 2
    d2 = math.sqrt(square)
    found = x2 - (x2 - x1) * ((s2 + d2 - d1) / (s2 - s1 + 2 * d2))
    return min(max(found, lower), upper)


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, np.ndarray]],
    t: float,
    f: float,
    g: np.ndarray,
    d: np.ndarray,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance: float = 1e-9,
    most: int = 25,
) -> tuple[float, float, np.ndarray]:
    """A step length along `d` that lowers the loss enough and flattens its slope: (length, loss, gradient).

    Parameters
    ----------
    evaluate : function(t) -> (loss, gradient)
        At a step length.
    t : float
        First length to try.
    f, g : float, ndarray of shape (n,)
        Loss and gradient at length 0.
    d : ndarray, shape (n,)
        Direction, downhill.
    """
    slope = float(g @ d)
    scale = float(np.abs(d).max())
    start: Point = (0.0, f, g, slope)

    def at(t: float) -> Point:
        loss, gradient = evaluate(t)
        return t, loss, gradient, float(gradient @ d)

    def is_too_high(p: Point) -> bool:
        return not p[1] <= f + c1 * p[0] * slope

    before, low, high = start, start, start
    n = 0
    while n < most:
        point = at(t)
        n += 1
        if is_too_high(point) or (n > 1 and point[1] >= before[1]):
            low, high = before, point
            break
        if abs(point[3]) <= -c2 * slope:
            return point[:3]
        if point[3] >= 0:
            low, high = point, before
            break
        further = point[0] + 0.01 * (point[0] - before[0]), point[0] * 10
        t = cubic(before, point, further)
        before, low, high = point, point, point
    while n < most and abs(high[0] - low[0]) * scale >= tolerance:
        width = abs(high[0] - low[0])
        lower, upper = sorted((low[0], high[0]))
        t = min(max(cubic(low, high), lower + 0.1 * width), upper - 0.1 * width)
        point = at(t)
        n += 1
        if is_too_high(point) or point[1] >= low[1]:
            high = point
            continue
        if abs(point[3]) <= -c2 * slope:
            return point[:3]
        if point[3] * (high[0] - low[0]) >= 0:
            high = low
        low = point
    return low[:3]
