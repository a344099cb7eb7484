"""The dtypes of tensors, the default one, and how values become arrays.

float32 and float64 carry gradients; integers and booleans are constants.  A dtype is NumPy's, so
`x.dtype == nb.float32` and `x.dtype == np.float32` both hold.
"""

from typing import Any

import numpy as np

from nbgrad.errors import DtypeError

float32 = np.dtype("float32")
float64 = np.dtype("float64")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
uint8 = np.dtype("uint8")
bool_ = np.dtype("bool")

SUPPORTED = frozenset([float32, float64, int8, int16, int32, int64, uint8, bool_])


class Default:
    """The dtype that Python floats get."""

    dtype = float32


def get_default_dtype() -> np.dtype:
    """The dtype of tensors made from Python floats.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.get_default_dtype()
    dtype('float32')
    """
    return Default.dtype


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of tensors made from Python floats: float32 or float64.

    Raises
    ------
    DtypeError
        If it is another one.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.set_default_dtype(nb.float64)
    >>> nb.tensor(1.0).dtype
    dtype('float64')
    >>> nb.set_default_dtype(nb.float32)
    """
    wanted = np.dtype(dtype)
    if wanted not in (float32, float64):
        raise DtypeError(
            f"the default dtype must be float32 or float64, not {wanted}: only floating-point types are supported "
            f"as the default type, since gradients need one"
        )
    Default.dtype = wanted


def is_floating(dtype: np.dtype) -> bool:
    """Whether tensors of this dtype can require gradients."""
    return dtype is float32 or dtype is float64 or dtype == float32 or dtype == float64


def as_dtype(dtype: Any) -> np.dtype:
    """A NumPy dtype from what the user gave, refused if tensors can't have it."""
    if dtype is float or dtype is None:
        return Default.dtype
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in SUPPORTED:
        names = ", ".join(sorted(str(d) for d in SUPPORTED))
        raise DtypeError(f"tensors have no dtype {dtype!r}; choose one of {names}")
    return found


def keeps_dtype(value: Any) -> bool:
    """Whether a value, or the first one inside nested lists, brings a NumPy dtype of its own."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, np.ndarray | np.generic)


def as_array(value: Any, floats: Any = None) -> Any:
    """An exact ndarray from an array, a number or nested lists of numbers; None stays None.

    Floats without a NumPy dtype become `floats`, by default the default dtype; integers int64.
    """
    if type(value) is np.ndarray:
        return value
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    try:
        array = np.array(value)
    except ValueError as error:
        raise DtypeError(f"could not make a tensor of {type(value).__name__}: {error}") from error
    if array.dtype == float64 and not keeps_dtype(value):
        return array.astype(floats or Default.dtype)
    if array.size == 0 and array.dtype == float64:
        return array.astype(floats or Default.dtype)
    if array.dtype not in SUPPORTED:
        raise DtypeError(
            f"could not make a tensor of {type(value).__name__} {value!r:.80}: NumPy reads it as {array.dtype}, "
            f"and tensors hold booleans, integers, float32 or float64"
        )
    return array


def as_operand(value: Any) -> Any:
    """Like `as_array`, but a number stays a Python number, which never changes the other's dtype."""
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return value
    if isinstance(value, np.generic):
        return value.item()
    return as_array(value)
