"""AccumulateGrad: PyTorch's node at a leaf.  Here an edge leads to the leaf itself, and this is a view of it for users.

y.grad_fn.next_functions  ──►  ((AccumulateGrad(x), 0), ...)       y.grad_fn.edges  ──►  ((x, 0), ...)
"""

from typing import TYPE_CHECKING, Any

from nbgrad.autograd.node_name import Name

if TYPE_CHECKING:
    from nbgrad.autograd.tensor import Tensor


class AccumulateGrad:
    """The end of an edge at a leaf; two of one leaf are equal.

    Attributes
    ----------
    variable : Tensor
        The leaf.

    Examples
    --------
    >>> import nbgrad as nb
    >>> x = nb.ones(1, requires_grad=True)
    >>> y = x * 3
    >>> y.grad_fn.next_functions[0][0].variable is x
    True
    """

    __slots__ = ("variable",)
    name = Name("accumulate_grad")
    next_functions: tuple = ()

    def __init__(self, variable: "Tensor") -> None:
        self.variable = variable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and self.variable is other.variable

    def __hash__(self) -> int:
        return hash((AccumulateGrad, id(self.variable)))

    def __repr__(self) -> str:
        return "<AccumulateGrad>"

    if TYPE_CHECKING:  # bound by `nbgrad.autograd.leaf_hooks`

        def __getattr__(self, name: str) -> Any: ...
