"""exp, tanh, erf and the logistic function for kernels: branch-free polynomials that LLVM turns into vector code.

Numba's own calls go to scalar libm, which keeps the loop scalar and is up to 45 times slower than these.

    y[i] = exp(x[i], x)          # the second argument, any array of the kernel's flavour, tells the type

Notes
-----
A literal such as 0.5 is a float64 and would drag a float32 loop to double, so constants are made by
`f = like.dtype.type`.  `f(0.1) != 0.1` is true in float32 only; LLVM knows the answer at compile time and drops the
other branch.

Method: x = n ln2 + r with |r| <= ln2 / 2, and e^r - 1 by its series, cut where the rest is below half an ulp.  ln2 is
subtracted in two parts, the first with enough trailing zeros that n times it is exact (Cody and Waite 1980).  The two
polynomials of erf were fitted by weighted least squares, the second to -log(erfc).

Errors, measured over the whole range (tests/jit/test_fmath.py): exp and erf 2 ulp, tanh and sigmoid 4 ulp, in float32 and
float64.
"""

import math

from nbgrad.jit.kernel import Inline
from nbgrad.jit.primitive import copysign, fabs, pow2i, rint, times_pow2


def inline(function):
    """As `nbgrad.jit.inline`, but sums are not reordered: the subtraction in two parts must stay two."""
    return Inline(function, {"contract", "nsz"})


@inline
def at_least(v, low):
    """The larger one, `low` for NaN: one instruction, where `fmax` takes three to prefer numbers to NaN."""
    return v if v > low else low


@inline
def at_most(v, high):
    """The smaller one, `high` for NaN."""
    return v if v < high else high


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
    x = at_most(at_least(v, low), high)
    n = rint(x * f(1.44269504088896341))
    q = expm1_reduced(reduced(x, n, like), like) + f(1.0)
    # Where n is one more than the largest exponent, q is below 1.
    y = times_pow2(q, n)
    y = y if v >= low else f(0.0)
    y = y if v <= high else f(math.inf)
    return v if v != v else y


@inline
def exp_below(v, like):
    """e^v for v <= 0 (or NaN), as scores below their maximum have it: there is no overflow to look for."""
    f = like.dtype.type
    low = f(-87.33654) if f(0.1) != 0.1 else f(-708.3964185322641)
    x = at_least(v, low)
    n = rint(x * f(1.44269504088896341))
    y = times_pow2(expm1_reduced(reduced(x, n, like), like) + f(1.0), n)
    y = y if v >= low else f(0.0)
    return v if v != v else y


@inline
def tanh(v, like):
    """Hyperbolic tangent, as E / (E + 2) with E = e^2|v| - 1, which keeps all digits near 0."""
    f = like.dtype.type
    x = at_most(fabs(v), f(22.0))
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
    low, high = (
        (f(-87.33654), f(88.72283))
        if f(0.1) != 0.1
        else (f(-708.3964185322641), f(709.782712893384))
    )
    x = at_most(at_least(-v, low), high)
    n = rint(x * f(1.44269504088896341))
    # Below `low` it is far below half an ulp of 1, so need not be 0.
    e = times_pow2(expm1_reduced(reduced(x, n, like), like) + f(1.0), n)
    y = f(1.0) / (f(1.0) + e)
    y = y if -v <= high else f(0.0)
    return v if v != v else y


@inline
def erf(v, like):
    """Error function, within 2 ulp: v + v A(v^2) up to 1, 1 - e^-B(|v|) above, both computed and one chosen."""
    f = like.dtype.type
    if f(0.1) != 0.1:
        x = at_most(fabs(v), f(4.0))
        z = x * x
        a = f(-0.0005631340318359435)
        a = a * z + f(0.004917530808597803)
        a = a * z + f(-0.026711292564868927)
        a = a * z + f(0.11280179768800735)
        a = a * z + f(-0.37612324953079224)
        a = a * z + f(0.12837912142276764)
        b = f(-0.00018884576275013387)
        b = b * x + f(0.002972650807350874)
        b = b * x + f(-0.021941231563687325)
        b = b * x + f(0.10332895815372467)
        b = b * x + f(0.637881338596344)
        b = b * x + f(1.127252459526062)
        b = b * x + f(0.0003001862787641585)
    else:
        x = at_most(fabs(v), f(6.0))
        z, over = x * x, x - f(1.0)
        a = f(5.945999248524458e-11)
        a = a * z + f(-1.136623684061533e-09)
        a = a * z + f(1.46580743098923e-08)
        a = a * z + f(-1.635006343925216e-07)
        a = a * z + f(1.6460977598498072e-06)
        a = a * z + f(-1.4925593903872963e-05)
        a = a * z + f(0.00012055331059027119)
        a = a * z + f(-0.0008548326979561553)
        a = a * z + f(0.005223977624800357)
        a = a * z + f(-0.026866170645075686)
        a = a * z + f(0.11283791670954879)
        a = a * z + f(-0.3761263890318375)
        a = a * z + f(0.1283791670955126)
        b = f(-2.982687453048271e-13)
        b = b * over + f(1.0304819546886577e-11)
        b = b * over + f(-1.602349469013488e-10)
        b = b * over + f(1.4735361732058244e-09)
        b = b * over + f(-8.74664931585111e-09)
        b = b * over + f(3.2897305600271763e-08)
        b = b * over + f(-5.4695319085310723e-08)
        b = b * over + f(-2.130784871306493e-07)
        b = b * over + f(2.1443303817769473e-06)
        b = b * over + f(-9.683526752319643e-06)
        b = b * over + f(2.7206833706778466e-05)
        b = b * over + f(-2.6299553296092448e-05)
        b = b * over + f(-0.0002373156978074147)
        b = b * over + f(0.001977901172001896)
        b = b * over + f(-0.010033825198589951)
        b = b * over + f(0.04156109802975463)
        b = b * over + f(0.843107256359039)
        b = b * over + f(2.6389675142347873)
        b = b * over + f(1.849605509933248)
    n = rint(b * f(-1.44269504088896341))
    e = times_pow2(expm1_reduced(reduced(-b, n, like), like) + f(1.0), n)
    y = copysign(a * x + x if x <= f(1.0) else f(1.0) - e, v)
    return v if v != v else y


@inline
def erf_near(v, like):
    """`erf` within 6 ulp in float32 at half the cost, by one rational function (as in Eigen); `erf` itself in float64."""
    f = like.dtype.type
    if f(0.1) != 0.1:
        x = at_most(at_least(v, f(-4.0)), f(4.0))
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
        return v if v != v else y
    return erf(v, like)
