"""Activations: relu and its relatives, each one pass forward and one backward."""

import numpy as np

from nbgrad.autograd.op import op
from nbgrad.autograd.tensor import Tensor
from nbgrad.jit import fmath, inline, maker
from nbgrad.ops.broadcast import contiguous
from nbgrad.ops.pointwise import floats

exp_of, exp_below = fmath.exp, fmath.exp_below
erf_of = fmath.erf_near  # in float32 half the cost of `erf`, and 3.4e-7 off at most
tanh_of = fmath.tanh
sigmoid_of = fmath.sigmoid


@op
def relu(input):
    """max(x, 0); the gradient at 0 is 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.relu(nb.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if input.dtype.kind != "f":
        return np.asarray(np.maximum(input, 0)), None
    x = contiguous(input)
    y = _relu(x)
    return y, (y,)


@relu.vjp
def relu(residuals, g):
    # x_bar = g where y > 0
    (y,) = residuals
    return (_relu_vjp(contiguous(g), y),)


@relu.double()
def relu(residuals, g):
    (y,) = residuals
    return (g.masked_fill(Tensor(y <= 0), 0),)


@op
def leaky_relu(input, negative_slope=0.01):
    """x above 0, `negative_slope` x below.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.leaky_relu(nb.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5000,  2.0000])
    """
    x = floats(input)
    y = _leaky_relu(x, negative_slope)
    return y, (x, negative_slope)


@leaky_relu.vjp
def leaky_relu(residuals, g):
    x, slope = residuals
    return (_leaky_relu_vjp(contiguous(g), x, slope),)


@leaky_relu.double()
def leaky_relu(residuals, g):
    x, slope = residuals
    return (g * Tensor(np.where(x > 0, x.dtype.type(1), x.dtype.type(slope))),)


@op
def elu(input, alpha=1.0):
    """x above 0, alpha (e^x - 1) below.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.elu(nb.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    x = floats(input)
    y = _elu(x, alpha)
    return y, (y, alpha)


@elu.vjp
def elu(residuals, g):
    # x_bar = g above 0, g (y + alpha) below
    y, alpha = residuals
    return (_elu_vjp(contiguous(g), y, alpha),)


@elu.double("y")
def elu(residuals, g):
    y, alpha = residuals
    return (g.where(y > 0, g * (y + alpha)),)


@op
def gelu(input, approximate="none"):
    """x times the probability that a standard normal number is below x.

    Parameters
    ----------
    input : Tensor
        Values.
    approximate : {"none", "tanh"}
        The exact form, or the usual formula with tanh.

    References
    ----------
    Hendrycks and Gimpel 2016, Gaussian error linear units.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.gelu(nb.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    x = floats(input)
    if approximate == "tanh":
        y = _gelu_tanh(x)
    elif approximate == "none":
        y = _gelu(x)
    else:
        raise ValueError(f'approximate is "none" or "tanh", not {approximate!r}')
    return y, (x, approximate)


@gelu.vjp
def gelu(residuals, g):
    # x_bar = g (cdf(x) + x pdf(x))
    x, approximate = residuals
    if approximate == "tanh":
        return (_gelu_tanh_vjp(contiguous(g), x),)
    return (_gelu_vjp(contiguous(g), x),)


@gelu.double("0")
def gelu(residuals, g):
    x, approximate = residuals
    if approximate == "tanh":
        t = ((x + x * x * x * 0.044715) * 0.7978845608028654).tanh()
        slope = (x * x * (3 * 0.044715) + 1) * 0.7978845608028654
        return (g * 0.5 * (t + 1 + x * (1 - t * t) * slope),)
    return (g * slope_of_gelu(x),)


def slope_of_gelu(x: Tensor) -> Tensor:
    """cdf(x) + x pdf(x), over tensors."""
    cdf = ((x * 0.70710678118654752).erf() + 1) * 0.5
    return cdf + x * (x * x * -0.5).exp() * 0.3989422804014327


@op
def silu(input):
    """x sigmoid(x).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.silu(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """
    x = floats(input)
    y = _silu(x)
    return y, (x,)


@silu.vjp
def silu(residuals, g):
    # s = sigmoid(x): x_bar = g s (1 + x (1 - s))
    (x,) = residuals
    return (_silu_vjp(contiguous(g), x),)


@silu.double("0")
def silu(residuals, g):
    (x,) = residuals
    s = x.sigmoid()
    return (g * s * (1 + x * (1 - s)),)


@op
def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.functional.softplus(nb.tensor([0.0]))
    tensor([0.6931])
    """
    x = floats(input)
    scaled = x * beta
    with np.errstate(over="ignore"):
        y = np.where(scaled > threshold, x, np.log1p(np.exp(scaled)) / beta)
    return np.asarray(y), (x, beta, threshold)


@softplus.vjp
def softplus(residuals, g):
    # x_bar = g sigmoid(beta x)
    x, beta, threshold = residuals
    return (_softplus_vjp(contiguous(g), x, beta, threshold),)


@softplus.double("0")
def softplus(residuals, g):
    x, beta, threshold = residuals
    return (g.where(x * beta > threshold, g * (x * beta).sigmoid()),)


@maker("a>a")
def _relu(x, y):
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = zero if x[i] <= zero else x[i]  # this way round NaN stays NaN


@maker("aa>a")
def _relu_vjp(g, y, x_bar):
    zero = g.dtype.type(0)
    for i in range(g.size):
        x_bar[i] = zero if y[i] <= zero else g[i]


@maker("af>a")
def _leaky_relu(x, slope, y):
    zero = x.dtype.type(0)
    for i in range(x.size):
        y[i] = x[i] if x[i] > zero else slope * x[i]


@maker("aaf>a")
def _leaky_relu_vjp(g, x, slope, x_bar):
    zero = g.dtype.type(0)
    for i in range(g.size):
        x_bar[i] = g[i] if x[i] > zero else slope * g[i]


@maker("af>a")
def _elu(x, alpha, y):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.size):
        y[i] = x[i] if x[i] > zero else alpha * (exp_of(x[i], x) - one)


@maker("aaf>a")
def _elu_vjp(g, y, alpha, x_bar):
    zero = g.dtype.type(0)
    for i in range(g.size):
        x_bar[i] = g[i] if y[i] > zero else g[i] * (y[i] + alpha)


@inline
def gelu_at(v, like):
    """v times the probability that a standard normal number is below v."""
    f = like.dtype.type
    return f(0.5) * v * (f(1) + erf_of(v * f(0.70710678118654752), like))


@inline
def gelu_slope_at(v, like):
    """The derivative of `gelu_at`: cdf(v) + v pdf(v)."""
    f = like.dtype.type
    cdf = f(0.5) * (f(1) + erf_of(v * f(0.70710678118654752), like))
    return cdf + v * f(0.3989422804014327) * exp_below(f(-0.5) * v * v, like)


@maker("a>a")
def _gelu(x, y):
    for i in range(x.size):
        y[i] = gelu_at(x[i], x)


@maker("aa>a")
def _gelu_vjp(g, x, x_bar):
    for i in range(x.size):
        x_bar[i] = g[i] * gelu_slope_at(x[i], x)


@maker("a>a")
def _gelu_tanh(x, y):
    f = x.dtype.type
    half, one, scale, cubic = f(0.5), f(1), f(0.7978845608028654), f(0.044715)
    for i in range(x.size):
        v = x[i]
        y[i] = half * v * (one + tanh_of(scale * (v + cubic * v * v * v), x))


@maker("aa>a")
def _gelu_tanh_vjp(g, x, x_bar):
    f = x.dtype.type
    half, one, scale, cubic = f(0.5), f(1), f(0.7978845608028654), f(0.044715)
    three = f(3)
    for i in range(x.size):
        v = x[i]
        t = tanh_of(scale * (v + cubic * v * v * v), x)
        slope = scale * (one + three * cubic * v * v)
        x_bar[i] = g[i] * half * (one + t + v * (one - t * t) * slope)


@maker("a>a")
def _silu(x, y):
    for i in range(x.size):
        y[i] = x[i] * sigmoid_of(x[i], x)


@maker("aa>a")
def _silu_vjp(g, x, x_bar):
    one = x.dtype.type(1)
    for i in range(x.size):
        s = sigmoid_of(x[i], x)
        x_bar[i] = g[i] * s * (one + x[i] * (one - s))


@maker("aaff>a")
def _softplus_vjp(g, x, beta, threshold, x_bar):
    for i in range(x.size):
        v = beta * x[i]
        x_bar[i] = g[i] if v > threshold else g[i] * sigmoid_of(v, x)
