"""Parameter: a leaf tensor that a module owns and an optimizer updates.

It lives here and not in `nn/`, so that remote calls can tell a parameter without knowing modules.
"""

from typing import Any

import numpy as np

from nbgrad.autograd.dtypes import as_array, is_floating
from nbgrad.autograd.tensor import Tensor
from nbgrad.errors import DtypeError


def cast(tensor: Tensor, kind: type[Tensor]) -> Tensor:
    """The same tensor, in the same place of the graph, as an instance of a subclass."""
    twin = kind.__new__(kind)
    Tensor.__init__(twin, tensor.array, tensor.requires_grad, tensor.node, tensor.idx)
    return twin


class Parameter(Tensor):
    """A leaf tensor that a `Module` registers when it is assigned as an attribute.

    Parameters
    ----------
    data : Tensor, ndarray or nested lists
        Values; memory of a tensor or an array is shared, not copied.
    requires_grad : bool
        Whether it is trained.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.nn.Parameter(nb.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if data is None:
            data = np.empty(0, np.float32)
        array = data.array if isinstance(data, Tensor) else as_array(data)
        if requires_grad and not is_floating(array.dtype):
            raise DtypeError(
                f"Only Tensors of floating point dtype can require gradients, and this parameter is {array.dtype}; "
                f"pass requires_grad=False or floating-point values"
            )
        super().__init__(array, requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()
