"""exp, tanh, erf and the logistic function for kernels: branch-free polynomials that LLVM turns into vector code.

Numba's own calls go to scalar libm, which keeps the loop scalar and is up to 45 times slower than these.

    y[i] = exp(x[i], x)          # the second argument, any array of the kernel's flavour, tells the type

Notes
-----
A literal such as 0.5 is a float64 and would drag a float32 loop to double, so constants are made by
`f = like.dtype.type`.  `f(0.1) != 0.1` is true in float32 only; LLVM knows the answer at compile time and drops the
other branch.

Method: x = n ln2 + r with |r| <= ln2 / 2, and e^r - 1 by its series, cut where the rest is below half an ulp.  ln2 is
subtracted in two parts, the first with enough trailing zeros that n times it is exact (Cody and Waite 1980).
"""

import math
from math import erf as libm_erf  # not math.erf: that name would be taken for the function below

from nbgrad.jit.kernel import Inline
from nbgrad.jit.primitive import copysign, fabs, fmax, fmin, pow2i, rint


def inline(function):
    """As `nbgrad.jit.inline`, but sums are not reordered: the subtraction in two parts must stay two."""
    return Inline(function, {"contract", "nsz"})


@inline
def expm1_reduced(r, like):
    """e^r - 1 for |r| <= ln2 / 2."""
    f = like.dtype.type
    if f(0.1) != 0.1:
        p = f(1.9875691500e-4)
        p = p * r + f(1.3981999507e-3)
        p = p * r + f(8.3334519073e-3)
        p = p * r + f(4.1665795894e-2)
        p = p * r + f(1.6666665459e-1)
        p = p * r + f(5.0000001201e-1)
    else:
        p = f(1.0 / 6227020800.0)
        p = p * r + f(1.0 / 479001600.0)
        p = p * r + f(1.0 / 39916800.0)
        p = p * r + f(1.0 / 3628800.0)
        p = p * r + f(1.0 / 362880.0)
        p = p * r + f(1.0 / 40320.0)
        p = p * r + f(1.0 / 5040.0)
        p = p * r + f(1.0 / 720.0)
        p = p * r + f(1.0 / 120.0)
        p = p * r + f(1.0 / 24.0)
        p = p * r + f(1.0 / 6.0)
        p = p * r + f(0.5)
    return p * r * r + r


@inline
def reduced(v, n, like):
    """v - n ln2, with ln2 in two parts."""
    f = like.dtype.type
    if f(0.1) != 0.1:
        return (v - n * f(0.693359375)) - n * f(-2.12194440e-4)
    return (v - n * f(0.693147180369123816490)) - n * f(1.90821492927058770002e-10)


@inline
def exp(v, like):
    """e^v: 0 below the smallest normal number, inf above the largest, NaN for NaN."""
    f = like.dtype.type
    if f(0.1) != 0.1:
        low, high = f(-87.33654), f(88.72283)
    else:
        low, high = f(-708.3964185322641), f(709.782712893384)
    x = fmin(fmax(v, low), high)
    n = rint(x * f(1.44269504088896341))
    q = expm1_reduced(reduced(x, n, like), like) + f(1.0)
    # 2^n in two factors: n can be one more than the largest exponent.
    half = rint(n * f(0.5))
    y = q * pow2i(half) * pow2i(n - half)
    y = y if v >= low else f(0.0)
    y = y if v <= high else f(math.inf)
    return v if v != v else y


@inline
def exp_below(v, like):
    """e^v for v <= 0 (or NaN), as scores below their maximum have it: there is no overflow to look for."""
    f = like.dtype.type
    low = f(-87.33654) if f(0.1) != 0.1 else f(-708.3964185322641)
    x = fmax(v, low)
    n = rint(x * f(1.44269504088896341))
    y = (expm1_reduced(reduced(x, n, like), like) + f(1.0)) * pow2i(n)
    y = y if v >= low else f(0.0)
    return v if v != v else y


@inline
def tanh(v, like):
    """Hyperbolic tangent, as E / (E + 2) with E = e^2|v| - 1, which keeps all digits near 0."""
    f = like.dtype.type
    x = fmin(fabs(v), f(22.0))
    x = x + x
    n = rint(x * f(1.44269504088896341))
    scale = pow2i(n)
    e = expm1_reduced(reduced(x, n, like), like) * scale + (scale - f(1.0))
    y = copysign(e / (e + f(2.0)), v)
    return v if v != v else y


@inline
def sigmoid(v, like):
    """1 / (1 + e^-v)."""
    f = like.dtype.type
    return f(1.0) / (f(1.0) + exp(-v, like))


@inline
def erf(v, like):
    """Error function: rational approximation in float32 (as in Eigen), libm's in float64."""
    f = like.dtype.type
    if f(0.1) != 0.1:
        x = fmin(fmax(v, f(-4.0)), f(4.0))
        z = x * x
        p = f(-2.72614225801306e-10)
        p = p * z + f(2.77068142495902e-08)
        p = p * z + f(-2.10102402082508e-06)
        p = p * z + f(-5.69250639462346e-05)
        p = p * z + f(-7.34990630326855e-04)
        p = p * z + f(-2.95459980854025e-03)
        p = p * z + f(-1.60960333262415e-02)
        q = f(-1.45660718464996e-05)
        q = q * z + f(-2.13374055278905e-04)
        q = q * z + f(-1.68282697438203e-03)
        q = q * z + f(-7.37332916720468e-03)
        q = q * z + f(-1.42647390514189e-02)
        y = x * p / q
    else:
        y = f(libm_erf(v))
    return v if v != v else y
