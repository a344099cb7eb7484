"""SparseArray: the few places of a large array that are not zero, and the values there.

    indices (k, n)    n places along the first k dimensions
    values (n, ...)   one value, or one row, per place; a place that occurs twice counts twice

The gradient of an embedding has k = 1 (some rows of a matrix); a COO tensor has k = all of its dimensions.  A SparseArray
stands where an ndarray does: as `tensor.array`, as a cotangent, as a slot of a message.

Note [Sparse arrays]
~~~~~~~~~~~~~~~~~~~~
S1 (value)  nbgrad never writes into `indices` or `values`: a sum is a new object, so two may share arrays.
S2 (loud)   what treats one as an ndarray raises (no `__array__`, no ufuncs, no `flags`), so an operation that does not
            know it can't be wrong: `@op` then looks for its sparse form, and the engines run the VJP again, dense.
"""

import math
import sys
from typing import Any

import numpy as np

from nbgrad.autograd.buffers import empty
from nbgrad.autograd.dtypes import is_floating
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.jit import kernel


class SparseArray:
    """Places and values of an array that is zero elsewhere: Note [Sparse arrays].

    Parameters
    ----------
    indices : ndarray of int64, shape (k, n)
        Places along the first k dimensions, within the shape.
    values : ndarray, shape (n, *shape[k:])
        What is there.
    shape : tuple of int
        Of the whole.
    is_coalesced : bool
        Whether places are sorted and none occurs twice.

    Examples
    --------
    >>> import numpy as np
    >>> from nbgrad.autograd.sparse import SparseArray
    >>> x = SparseArray(np.array([[2, 0, 2]]), np.array([1.0, 2.0, 3.0]), (4,))
    >>> x.to_dense()
    array([2., 0., 4., 0.])
    >>> x.coalesce().indices
    array([[0, 2]])
    """

    __slots__ = ("indices", "is_coalesced", "shape", "values")

    __array_ufunc__ = None  # `ndarray + sparse` goes to __radd__, ufuncs raise

    def __init__(
        self, indices: np.ndarray, values: np.ndarray, shape: tuple, is_coalesced: bool = False
    ) -> None:
        self.indices, self.values = indices, values
        self.shape, self.is_coalesced = shape, is_coalesced

    # ------------------------------------------------------------ what it is

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self.values.itemsize

    @property
    def nbytes(self) -> int:
        return self.indices.nbytes + self.values.nbytes

    @property
    def base(self) -> np.ndarray:
        """What `block_of` follows to the memory of the values."""
        return self.values

    @property
    def n_sparse(self) -> int:
        """How many dimensions have indices: k."""
        return len(self.indices)

    @property
    def columns(self) -> int:
        """Number of values per place."""
        return math.prod(self.shape[self.n_sparse :])

    def rows(self) -> np.ndarray:
        """Places as single numbers, the first k dimensions counted as one."""
        if len(self.indices) == 1:
            return self.indices[0]
        return np.ravel_multi_index(tuple(self.indices), self.shape[: self.n_sparse])

    def is_sole(self) -> bool:
        """Whether the caller's one name for this object is the only way to the memory of its values."""
        # Counted: `values` of this object, getrefcount's parameter.  The method's own `self` is above the caller's.
        return self.values.base is None and sys.getrefcount(self.values) <= 2

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a sparse tensor has no {name!r}, only dense ones have; call .to_dense() first",
            name=name,
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise DtypeError(
            f"can't convert Sparse layout tensor of shape {self.shape} to numpy. Use Tensor.to_dense() first."
        )

    def __repr__(self) -> str:
        return f"SparseArray({self.values.shape[0]} places of shape {self.shape}, {self.dtype})"

    # ------------------------------------------------------------ other forms

    def like(self, values: np.ndarray) -> "SparseArray":
        """Other values at the same places."""
        return SparseArray(self.indices, values, self.shape, self.is_coalesced)

    def only(self, keep: Any) -> "SparseArray":
        """The places that a mask or a slice names."""
        return SparseArray(self.indices[:, keep], self.values[keep], self.shape, self.is_coalesced)

    def copy(self) -> "SparseArray":
        """A twin that shares no memory."""
        return SparseArray(self.indices.copy(), self.values.copy(), self.shape, self.is_coalesced)

    def astype(self, dtype: Any, copy: bool = True) -> "SparseArray":
        """Values converted."""
        return self.like(self.values.astype(dtype, copy=copy))

    def coalesce(self) -> "SparseArray":
        """Each place once, sorted, with the sum of its values."""
        if self.is_coalesced:
            return self
        rows, group = np.unique(self.rows(), return_inverse=True)
        values = zeros((len(rows), *self.shape[self.n_sparse :]), self.dtype)
        add_rows(self.values, group, values, self.columns)
        places = np.unravel_index(rows, self.shape[: self.n_sparse]) if len(rows) else None
        indices = np.empty((self.n_sparse, 0), np.int64) if places is None else np.stack(places)
        return SparseArray(indices, values, self.shape, True)

    def to_dense(self) -> np.ndarray:
        """The whole array."""
        total = zeros(self.shape, self.dtype)
        self.add_to(total)
        return total

    def add_to(self, total: np.ndarray) -> None:
        """total += self, in place."""
        if total.shape != self.shape:
            raise ShapeError(
                f"a sparse value of shape {self.shape} does not fit into {total.shape}"
            )
        if total.flags.c_contiguous and total.dtype == self.dtype:
            add_rows(self.values, self.rows(), total, self.columns)
        else:
            np.add.at(total, tuple(self.indices), self.values)

    def at(self, other: "SparseArray") -> np.ndarray:
        """Own values at the places of another one; zero where there is none."""
        mine = self.coalesce()
        rows, wanted = mine.rows(), other.rows()
        place = np.searchsorted(rows, wanted)
        found = place < len(rows)
        found[found] = rows[place[found]] == wanted[found]
        values = zeros((len(wanted), *self.shape[self.n_sparse :]), self.dtype)
        values[found] = mine.values[place[found]]
        return values

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Three arrays that `of_parts` makes a twin of."""
        return self.indices, self.values, np.array([self.is_coalesced, *self.shape], np.int64)

    @staticmethod
    def of_parts(indices: np.ndarray, values: np.ndarray, form: np.ndarray) -> "SparseArray":
        is_coalesced, *shape = form.tolist()
        return SparseArray(indices, values, tuple(shape), bool(is_coalesced))

    def __reduce__(self) -> Any:
        return SparseArray, (self.indices, self.values, self.shape, self.is_coalesced)

    # ------------------------------------------------------------ arithmetic

    def __add__(self, other: Any) -> Any:
        """A new value: sparse if both are, else an ndarray."""
        if not isinstance(other, SparseArray | np.ndarray):
            return NotImplemented
        if self.shape != other.shape:
            raise ShapeError(
                f"sparse values are not broadcast: shapes {self.shape} and {other.shape} must be equal"
            )
        if isinstance(other, np.ndarray) or self.n_sparse != other.n_sparse:
            dense = other if isinstance(other, np.ndarray) else other.to_dense()
            total = np.array(dense, np.result_type(self.dtype, dense.dtype), order="C")
            self.add_to(total)
            return total
        if self.indices is other.indices or np.array_equal(self.indices, other.indices):
            return self.like(self.values + other.values)
        both = SparseArray(
            np.concatenate([self.indices, other.indices], 1),
            np.concatenate([self.values, other.values]),
            self.shape,
        )
        is_long = both.values.size > self.size  # sums over many passes must not grow for ever
        is_sorted = self.is_coalesced and other.is_coalesced
        return both.coalesce() if is_long or is_sorted else both

    __radd__ = __add__

    def __neg__(self) -> "SparseArray":
        return self.like(-self.values)

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        """A new SparseArray; `other` is a number, or sparse or dense of the same shape."""
        if isinstance(other, np.ndarray | np.generic) and other.ndim == 0:
            other = other.item()
        if isinstance(other, int | float):
            return self.like(self.values * other)
        if self.shape != other.shape:
            raise ShapeError(
                f"sparse values are not broadcast: shapes {self.shape} and {other.shape} must be equal"
            )
        if isinstance(other, np.ndarray):
            return self.like(self.values * other[tuple(self.indices)])
        mine, other = self.coalesce(), other.coalesce()
        if mine.n_sparse != other.n_sparse:
            return mine * other.to_dense()
        _, a, b = np.intersect1d(mine.rows(), other.rows(), True, return_indices=True)
        return SparseArray(mine.indices[:, a], mine.values[a] * other.values[b], self.shape, True)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "SparseArray":
        if isinstance(other, np.ndarray | np.generic) and other.ndim == 0:
            other = other.item()
        if not isinstance(other, int | float):
            raise DtypeError(
                "Sparse division requires a scalar or zero-dim dense tensor divisor; got one of shape "
                f"{np.shape(other) if isinstance(other, np.ndarray) else getattr(other, 'shape', ())}"
            )
        return self.like(self.values / other)


def zeros(shape: tuple, dtype: np.dtype) -> np.ndarray:
    total = empty(shape, dtype)
    total.fill(0)
    return total


def need_sparse(name: str, *arrays: Any) -> None:
    """Refuse dense operands."""
    for array in arrays:
        if not isinstance(array, SparseArray):
            raise DtypeError(
                f"{name}: expected a sparse tensor, and this one is dense; make it sparse with .to_sparse()"
            )


def densified(g: Any) -> Any:
    """A cotangent, or list of them, with ndarrays in place of what is sparse; None if nothing is."""
    if isinstance(g, SparseArray):
        return g.to_dense()
    if isinstance(g, list) and any(isinstance(part, SparseArray) for part in g):
        return [part.to_dense() if isinstance(part, SparseArray) else part for part in g]
    return None


def copied(g: Any) -> Any:
    """An array of the same values whose memory nobody else sees."""
    return g.copy() if isinstance(g, SparseArray) else np.array(g)  # (of a NumPy number, too)


def add_rows(values: np.ndarray, rows: np.ndarray, total: np.ndarray, columns: int) -> None:
    """total[rows[i]] += values[i] for each i, in order; `total` is contiguous, and its rows have `columns` elements.

    Examples
    --------
    >>> import numpy as np
    >>> from nbgrad.autograd.sparse import add_rows
    >>> total = np.zeros((2, 2))
    >>> add_rows(np.ones((3, 2)), np.array([1, 0, 1]), total, 2)
    >>> total
    array([[1., 1.],
           [2., 2.]])
    """
    if is_floating(total.dtype) and values.dtype == total.dtype:
        _add_rows(
            np.ascontiguousarray(values), np.ascontiguousarray(rows, np.int64), total, columns
        )
    elif columns:
        np.add.at(total.reshape(-1, columns), rows, values.reshape(-1, columns))


@kernel("Ak>An")
def _add_rows(values, rows, total, columns):
    for i in range(rows.size):
        row = values[i * columns : (i + 1) * columns]
        into = total[rows[i] * columns : (rows[i] + 1) * columns]
        for c in range(columns):
            into[c] += row[c]
