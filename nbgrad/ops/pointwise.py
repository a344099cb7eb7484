"""Functions of one element: exponentials, roots, trigonometry, conversion."""

import numpy as np

from nbgrad.autograd.buffers import empty, empty_like
from nbgrad.autograd.dtypes import Default, is_floating
from nbgrad.autograd.op import op
from nbgrad.jit import fmath, maker
from nbgrad.ops.broadcast import contiguous

exp_of = fmath.exp
tanh_of = fmath.tanh
sigmoid_of = fmath.sigmoid


def floats(x: np.ndarray) -> np.ndarray:
    """A contiguous float array: integers become the default dtype."""
    return contiguous(x if is_floating(x.dtype) else x.astype(Default.dtype))


@op
def neg(x):
    """-x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.neg(nb.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return np.negative(x, out=empty_like(x)), None


@neg.vjp
def neg(residuals, g):
    return (np.negative(g, out=empty_like(g)),)


@neg.double()
def neg(residuals, g):
    return (-g,)


@op
def abs(x):
    """|x|; the gradient at 0 is 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.abs(nb.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return np.abs(x, out=empty_like(x)), (x,)


@abs.vjp
def abs(residuals, g):
    # x_bar = g * sign(x)
    (x,) = residuals
    x_bar = np.sign(x, out=empty_like(x))
    return (np.multiply(x_bar, g, out=x_bar),)


@abs.double("0")
def abs(residuals, g):
    (x,) = residuals
    return (g * x.sign(),)


@op
def exp(x):
    """e to the power x.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.exp(nb.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    x = floats(x)
    y = _exp(x)
    return y, (y,)


@exp.vjp
def exp(residuals, g):
    # x_bar = g * y
    (y,) = residuals
    return (np.multiply(g, y, out=empty_like(y)),)


@exp.double("y")
def exp(residuals, g):
    (y,) = residuals
    return (g * y,)


@op
def log(x):
    """Natural logarithm: -inf at 0, NaN below.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.log(nb.tensor([1.0, 10.0]))
    tensor([0.0000, 2.3026])
    """
    x = floats(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x, out=empty_like(x)), (x,)


@log.vjp
def log(residuals, g):
    # x_bar = g / x
    (x,) = residuals
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.divide(g, x, out=empty_like(x)),)


@log.double("0")
def log(residuals, g):
    (x,) = residuals
    return (g / x,)


@op
def log1p(x):
    """log(1 + x), exact for small x."""
    x = floats(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(x, out=empty_like(x)), (x,)


@log1p.vjp
def log1p(residuals, g):
    # x_bar = g / (1 + x)
    (x,) = residuals
    x_bar = np.add(x, 1, out=empty_like(x))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.divide(g, x_bar, out=x_bar),)


@log1p.double("0")
def log1p(residuals, g):
    (x,) = residuals
    return (g / (x + 1),)


@op
def sqrt(x):
    """Square root; NaN below 0.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sqrt(nb.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """
    x = floats(x)
    with np.errstate(invalid="ignore"):
        y = np.sqrt(x, out=empty_like(x))
    return y, (y,)


@sqrt.vjp
def sqrt(residuals, g):
    # x_bar = g / (2 y)
    (y,) = residuals
    return (_sqrt_vjp(contiguous(g), y),)


@sqrt.double("y")
def sqrt(residuals, g):
    (y,) = residuals
    return (g * 0.5 / y,)


@op
def rsqrt(x):
    """1 / sqrt(x)."""
    x = floats(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.sqrt(x, out=empty_like(x))
        np.divide(1, y, out=y)
    return y, (y,)


@rsqrt.vjp
def rsqrt(residuals, g):
    # x_bar = -g y^3 / 2
    (y,) = residuals
    return (_rsqrt_vjp(contiguous(g), y),)


@rsqrt.double("y")
def rsqrt(residuals, g):
    (y,) = residuals
    return (g * -0.5 * y * y * y,)


@op
def reciprocal(x):
    """1 / x."""
    x = floats(x)
    with np.errstate(divide="ignore"):
        y = np.divide(1, x, out=empty_like(x))
    return y, (y,)


@reciprocal.vjp
def reciprocal(residuals, g):
    # x_bar = -g y^2
    (y,) = residuals
    x_bar = np.multiply(y, y, out=empty_like(y))
    np.multiply(x_bar, g, out=x_bar)
    return (np.negative(x_bar, out=x_bar),)


@reciprocal.double("y")
def reciprocal(residuals, g):
    (y,) = residuals
    return (-(g * y * y),)


@op
def sin(x):
    """Sine of x in radians.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sin(nb.tensor([0.0]))
    tensor([0.])
    """
    x = floats(x)
    return np.sin(x, out=empty_like(x)), (x,)


@sin.vjp
def sin(residuals, g):
    # x_bar = g cos(x)
    (x,) = residuals
    x_bar = np.cos(x, out=empty_like(x))
    return (np.multiply(x_bar, g, out=x_bar),)


@sin.double("0")
def sin(residuals, g):
    (x,) = residuals
    return (g * x.cos(),)


@op
def cos(x):
    """Cosine of x in radians.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.cos(nb.tensor([0.0]))
    tensor([1.])
    """
    x = floats(x)
    return np.cos(x, out=empty_like(x)), (x,)


@cos.vjp
def cos(residuals, g):
    # x_bar = -g sin(x)
    (x,) = residuals
    x_bar = np.sin(x, out=empty_like(x))
    np.multiply(x_bar, g, out=x_bar)
    return (np.negative(x_bar, out=x_bar),)


@cos.double("0")
def cos(residuals, g):
    (x,) = residuals
    return (-(g * x.sin()),)


@op
def tanh(x):
    """Hyperbolic tangent.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.tanh(nb.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    x = floats(x)
    y = _tanh(x)
    return y, (y,)


@tanh.vjp
def tanh(residuals, g):
    # x_bar = g (1 - y^2)
    (y,) = residuals
    return (_tanh_vjp(contiguous(g), y),)


@tanh.double("y")
def tanh(residuals, g):
    (y,) = residuals
    return (g - g * y * y,)


@op
def sigmoid(x):
    """1 / (1 + e^-x).

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.sigmoid(nb.tensor([0.0, 100.0]))
    tensor([0.5000, 1.0000])
    """
    x = floats(x)
    y = _sigmoid(x)
    return y, (y,)


@sigmoid.vjp
def sigmoid(residuals, g):
    # x_bar = g y (1 - y)
    (y,) = residuals
    return (_sigmoid_vjp(contiguous(g), y),)


@sigmoid.double("y")
def sigmoid(residuals, g):
    (y,) = residuals
    return (g * (y - y * y),)


@op
def cast(x, dtype):
    """x in another dtype; gradients come back in the first one."""
    y = empty(x.shape, dtype)
    np.copyto(y, x, casting="unsafe")
    return y, (x.dtype,)


@cast.vjp
def cast(residuals, g):
    (dtype,) = residuals
    return (g.astype(dtype),)


@cast.double()
def cast(residuals, g):
    return (g.to(residuals[0]),)


@maker("a>a")
def _exp(x, y):
    for i in range(x.size):
        y[i] = exp_of(x[i], x)


@maker("a>a")
def _tanh(x, y):
    for i in range(x.size):
        y[i] = tanh_of(x[i], x)


@maker("a>a")
def _sigmoid(x, y):
    for i in range(x.size):
        y[i] = sigmoid_of(x[i], x)


@maker("aa>a")
def _tanh_vjp(g, y, x_bar):
    for i in range(g.size):
        x_bar[i] = g[i] - g[i] * y[i] * y[i]


@maker("aa>a")
def _sigmoid_vjp(g, y, x_bar):
    for i in range(g.size):
        x_bar[i] = g[i] * (y[i] - y[i] * y[i])


@maker("aa>a")
def _sqrt_vjp(g, y, x_bar):
    half = g.dtype.type(0.5)
    for i in range(g.size):
        x_bar[i] = half * g[i] / y[i]


@maker("aa>a")
def _rsqrt_vjp(g, y, x_bar):
    half = g.dtype.type(-0.5)
    for i in range(g.size):
        x_bar[i] = half * g[i] * y[i] * y[i] * y[i]
