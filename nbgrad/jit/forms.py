"""Forms: simple arithmetic over very large arrays, whose results are written past the caches.

    form     add     sub     mul     add_number  mul_number  copy  fill
    out =    a + b   a - b   a * b   a + c       a * c       a     c

Nothing of such a result would stay in a cache anyway, and an ordinary store first reads the line that it writes: these move
3 bytes where it moves 4, or 1 where it moves 2.  Each number is what the ordinary loop gives.
"""

import ctypes
import functools

import numpy as np

from nbgrad.jit.kernel import kernel, lock
from nbgrad.jit.lines import KINDS, LINE, lines
from nbgrad.jit.primitive import Primitive

# From here on.  Where one process or two write arrays and read each other's right behind, ordinary stores win up to 8 MiB (the
# reader finds the result in a cache), and these from 16 MiB on.
STREAM_BYTES = 1 << 24
IN_NUMPY = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
fence = Primitive("fence", "fence", order="seq_cst", returns=False)


@lines(arrays=3, streams=True)
def add(line):
    """out = a + b"""
    _, a, b = line.arrays
    return {0: a + b}


@lines(arrays=3, streams=True)
def sub(line):
    """out = a - b"""
    _, a, b = line.arrays
    return {0: a - b}


@lines(arrays=3, streams=True)
def mul(line):
    """out = a * b"""
    _, a, b = line.arrays
    return {0: a * b}


@lines(arrays=2, constants=1, streams=True)
def add_number(line):
    """out = a + c"""
    return {0: line.arrays[1] + line.constants[0]}


@lines(arrays=2, constants=1, streams=True)
def mul_number(line):
    """out = a * c"""
    return {0: line.arrays[1] * line.constants[0]}


@lines(arrays=2, streams=True)
def duplicate(line):
    """out = a"""
    return {0: line.arrays[1]}


@lines(arrays=1, constants=1, streams=True)
def constant(line):
    """out = c"""
    return {0: line.constants[0]}


FORMS = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "add_number": add_number,
    "mul_number": mul_number,
    "copy": duplicate,
    "fill": constant,
}


@functools.cache
def native(form: str, dtype: str):
    """A form's function, callable from Python; it runs without the GIL."""
    with lock:
        address = FORMS[form].address(dtype)
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 8)(address)


def streams(out: np.ndarray) -> bool:
    """Whether a result is large enough, and of a dtype and layout that `stream` writes."""
    return out.nbytes >= STREAM_BYTES and out.dtype.name in KINDS and out.flags.c_contiguous


def stream(form: str, out: np.ndarray, *sources) -> None:
    """Write a form of the sources into `out`.

    Parameters
    ----------
    form : str
        See the module's docstring.
    out : ndarray, float32 or float64, C-contiguous
        The result; shares no memory with the sources.
    *sources : ndarray of out's shape and dtype, C-contiguous, or number
        As many arrays as the form has, then the number if it has one.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(3)
    >>> stream("mul_number", out, np.arange(3.0), 2)
    >>> out
    array([0., 2., 4.])
    """
    function, dtype = FORMS[form], out.dtype
    arrays = [a.reshape(-1) for a in (out, *sources[: function.arrays - 1])]
    numbers = [float(c) for c in sources[function.arrays - 1 :]]
    unit = function.unit(dtype.name)
    # The stores need a place that half a line divides.
    begin = min(-out.ctypes.data % LINE // dtype.itemsize, out.size)
    n = (out.size - begin) // unit * unit
    places = [a.ctypes.data + begin * dtype.itemsize for a in arrays]
    with np.errstate(all="ignore"):
        constants = np.array(numbers, dtype)
        places += [constants.ctypes.data] * function.constants
        native(form, dtype.name)(*places, n, *[0] * (7 - len(places)))
        combine = IN_NUMPY.get(form.removesuffix("_number"))
        for part in (slice(0, begin), slice(begin + n, None)):  # the ends, which are no whole unit
            values = [a[part] for a in arrays[1:]] + numbers
            arrays[0][part] = combine(*values) if combine else values[0]
    # Such stores are ordered with later ones by nothing else; pairs with whatever gets to know that the result is there.
    _order(0)


def fill(out: np.ndarray, number) -> None:
    """Write `out[...] = number`."""
    if streams(out):
        stream("fill", out, number)
    else:
        out[...] = number


def copy(out: np.ndarray, a: np.ndarray) -> None:
    """Write `out[...] = a`, an array of the same shape and dtype."""
    is_plain = out.flags.c_contiguous and a.flags.c_contiguous and out.nbytes % 8 == 0
    if out.nbytes >= STREAM_BYTES and is_plain:
        stream("copy", out.reshape(-1).view(np.float64), a.reshape(-1).view(np.float64))
    else:
        np.copyto(out, a)


@kernel("n")
def _order(_):
    fence()
