"""Tensor: an array that remembers how it was computed.

`Tensor(data, requires_grad, node, idx)` stores the array that it is given as it is: engines and ops make
millions of them.  Users make tensors with `nb.tensor(...)` and its friends; `Tensor([1.0, 2.0])` works too.

Operators and most methods are bound by `nbgrad.ops.methods`, from above, since operations know
tensors and not the reverse; hooks, `backward`, `data` and `detach` by their own files in this folder.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nbgrad.autograd.device import device
from nbgrad.autograd.dtypes import Default, as_array, is_floating
from nbgrad.autograd.node import Node
from nbgrad.autograd.printing import format_sparse, format_tensor
from nbgrad.autograd.versions import owner
from nbgrad.errors import DtypeError, GraphError, ShapeError

CPU = device("cpu")
ndarray = np.ndarray


class Size(tuple):
    """A shape: a tuple of ints that prints as PyTorch's and knows its product.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.zeros(2, 3).size()
    Size([2, 3])
    >>> nb.zeros(2, 3).shape == (2, 3)
    True
    """

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements of a tensor of this shape."""
        n = 1
        for length in self:
            n *= length
        return n

    def __repr__(self) -> str:
        return f"Size({list(self)})"


def values_of(data: Any) -> np.ndarray:
    """What a tensor keeps of something that is no ndarray.

    Raises
    ------
    DtypeError
        If it is a number, which PyTorch's constructor takes for a size.
    """
    if isinstance(data, list | tuple):
        return as_array(data).astype(Default.dtype)
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, np.generic):  # what NumPy makes of arrays without dimensions
        return np.asarray(data)
    if isinstance(data, int | float):
        raise DtypeError(
            f"Tensor({data!r}, ...) is not clear: nb.tensor({data!r}) makes a tensor of that value, nb.empty(...) one of a "
            f"size"
        )
    return data  # a sparse array


class Tensor:
    """An array, and the node of the graph that produced it.

    Parameters
    ----------
    data : ndarray, or nested lists
        The values; an array is stored as it is, lists become the default dtype.
    requires_grad : bool
        Whether gradients flow into it.
    node : Node or None
        What produced it; None for leaves and constants.
    idx : int
        Which output of `node` it is.

    Attributes
    ----------
    array : ndarray
        The values, or the `SparseArray` of them.
    grad : Tensor or None
        Sum of the gradients of all backward passes since it was last set to None (leaves only,
        and tensors that called `retain_grad`).
    hooks : dict or None
        Hooks of a leaf, see `nbgrad.autograd.hooks`.
    view_of : Tensor
        Set only for views: the tensor that owns the memory.  A weak reference to the tensor, for what `nbgrad.autograd.alias`
        makes: they show memory but are no part of a graph.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "array", "grad", "hooks", "idx", "node", "requires_grad", "view_of")
    view_of: Any

    __array_priority__ = 1000
    __array_ufunc__ = None  # `ndarray + tensor` goes to Tensor.__radd__
    __hash__ = object.__hash__  # by identity, although == compares elements

    def __init__(
        self, data: np.ndarray, requires_grad: bool = False, node: Node | None = None, idx: int = 0
    ) -> None:
        self.array = data if data.__class__ is ndarray else values_of(data)
        self.requires_grad = requires_grad
        self.node = node
        self.idx = idx
        self.grad: Tensor | None = None
        self.hooks: dict | None = None

    if TYPE_CHECKING:  # bound from above: see the head of this file

        def __getattr__(self, name: str) -> Any: ...
        def __add__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __floordiv__(self, other: Any) -> "Tensor": ...
        def __mod__(self, other: Any) -> "Tensor": ...
        def __pow__(self, other: Any) -> "Tensor": ...
        def __rpow__(self, other: Any) -> "Tensor": ...
        def __matmul__(self, other: Any) -> "Tensor": ...
        def __neg__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __invert__(self) -> "Tensor": ...
        def __and__(self, other: Any) -> "Tensor": ...
        def __or__(self, other: Any) -> "Tensor": ...
        def __xor__(self, other: Any) -> "Tensor": ...
        def __lt__(self, other: Any) -> "Tensor": ...
        def __le__(self, other: Any) -> "Tensor": ...
        def __gt__(self, other: Any) -> "Tensor": ...
        def __ge__(self, other: Any) -> "Tensor": ...
        def __eq__(self, other: object) -> "Tensor": ...  # type: ignore[override]
        def __ne__(self, other: object) -> "Tensor": ...  # type: ignore[override]
        def __getitem__(self, index: Any) -> "Tensor": ...
        def __setitem__(self, index: Any, value: Any) -> None: ...

    # ------------------------------------------------------------ what it is

    @property
    def grad_fn(self) -> Node | None:
        """The node that produced this tensor, None for a leaf."""
        return self.node

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation produced this tensor."""
        return self.node is None

    @property
    def _base(self) -> "Tensor | None":
        """The tensor whose memory this view shows, None for what is no view."""
        base = getattr(self, "view_of", None)
        if isinstance(base, Tensor) and owner(base.array) is owner(self.array):
            return base
        return None  # the operation had to copy, or one of the two has moved to other memory

    @property
    def output_nr(self) -> int:
        """Which output of its node this tensor is."""
        return self.idx

    @property
    def shape(self) -> Size:
        """Lengths of the dimensions."""
        return Size(self.array.shape)

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.array.ndim

    @property
    def device(self) -> device:
        """The CPU."""
        return CPU

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.array.nbytes

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one dimension."""
        return Size(self.array.shape) if dim is None else self.array.shape[dim]

    def dim(self) -> int:
        """Number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """Number of elements."""
        return self.array.size

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Steps, in elements, from one element to the next along each dimension."""
        steps = tuple(step // self.array.itemsize for step in self.array.strides)
        return steps if dim is None else steps[dim]

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory in C order without gaps."""
        return self.array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Whether the dtype is float32 or float64."""
        return is_floating(self.array.dtype)

    @property
    def is_sparse(self) -> bool:
        """Whether only the places that are not zero are stored: `array` is a `SparseArray`."""
        return type(self.array) is not np.ndarray

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self.array.ctypes.data

    # ------------------------------------------------------------ out of the graph

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Set whether gradients flow into this leaf; returns the tensor.

        Raises
        ------
        DtypeError
            If the dtype is not floating-point.
        GraphError
            If the tensor is a result: only leaves can be told.
        """
        if requires_grad and not is_floating(self.array.dtype):
            raise DtypeError(
                f"only Tensors of floating point dtype can require gradients, and this one is {self.array.dtype}; "
                f"convert it with .float() or .double() first"
            )
        if not requires_grad and self.node is not None:
            raise GraphError(
                f"you can only change requires_grad flags of leaf variables, and this tensor is a result of "
                f"{self.node.name!r}; use .detach() to get it out of the graph"
            )
        self.requires_grad = bool(requires_grad)
        return self

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as an ndarray; bound by `nbgrad.autograd.buffers`, which knows shared memory."""
        raise NotImplementedError

    def item(self) -> Any:
        """The only element, as a Python number.

        Raises
        ------
        ShapeError
            If there is not exactly one.
        """
        if self.array.size != 1:
            raise ShapeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar: item() needs exactly one "
                f"element and the shape is {self.array.shape}; use tolist() or an index"
            )
        return self.array.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.array.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        data = self.numpy()
        if dtype is not None and data.dtype != dtype:
            return data.astype(dtype)
        return data.copy() if copy else data

    # ------------------------------------------------------------ as a Python value

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ShapeError(
                f"Boolean value of Tensor with more than one value is ambiguous (shape {self.array.shape}); "
                f"use .any() or .all(), or compare with `is` if you meant the object"
            )
        return bool(self.array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "iub":
            raise DtypeError(
                f"only integer tensors of a single element can be converted to an index, not {self.array.dtype}"
            )
        return int(self.item())

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise DtypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self) -> Iterator["Tensor"]:
        if self.array.ndim == 0:
            raise DtypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self.array)))

    def __contains__(self, value: Any) -> bool:
        return bool((self.array == (value.array if isinstance(value, Tensor) else value)).any())

    def __format__(self, spec: str) -> str:
        return format(self.array.item(), spec) if self.array.ndim == 0 else format(str(self), spec)

    def __repr__(self) -> str:
        suffixes = []
        data = self.array
        default = data.dtype in (np.float32, np.int64, np.bool_) and data.size > 0
        if not default and not (data.size == 0 and data.dtype == np.float32):
            suffixes.append(f"dtype={data.dtype}")
        if self.node is not None:
            suffixes.append(f"grad_fn={self.node!r}")
        elif self.requires_grad:
            suffixes.append("requires_grad=True")
        return (format_sparse if self.is_sparse else format_tensor)(data, suffixes)

    # ------------------------------------------------------------ copies of the object

    def __reduce__(self) -> Any:
        # The graph stays behind: a pickled result comes back as a leaf, as in PyTorch.
        return type(self), (self.array, self.requires_grad)

    def __deepcopy__(self, memo: dict) -> "Tensor":
        if self.node is not None:
            raise GraphError(
                f"Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol, and this "
                f"one is a result of {self.node.name!r}; use .detach().clone()"
            )
        twin = type(self)(self.array.copy(), self.requires_grad)
        memo[id(self)] = twin
        if self.grad is not None:
            twin.grad = copy.deepcopy(self.grad, memo)
        return twin
