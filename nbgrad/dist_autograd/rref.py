"""`RRef.backward`: a backward pass from a tensor on its owner; bound from here, since RRefs know no gradients."""

from typing import Any

from nbgrad.autograd.tensor import Tensor
from nbgrad.dist_autograd import api
from nbgrad.errors import RRefError
from nbgrad.rpc import api as rpc_api
from nbgrad.rpc.rref import RRef
from nbgrad.rpc.trust import register


def backward(self: RRef, dist_autograd_ctx_id: int = -1, retain_graph: bool = False) -> None:
    """Run backward with this value as the root, on its owner.

    Parameters
    ----------
    dist_autograd_ctx_id : int
        The context of a distributed pass; -1 for a pass of the owner's own graph, on the owner only.
    retain_graph : bool
        Keep what the operations saved, for another pass.

    Raises
    ------
    RRefError
        On a user without a context, or if the value is no tensor.
    """
    if self.is_owner():
        run(self, dist_autograd_ctx_id, retain_graph)
        return
    if dist_autograd_ctx_id < 0:
        raise RRefError(
            "User RRefs require 'dist_autograd_ctx_id' to be specified: the gradients of a value on another worker belong "
            "to a context"
        )
    rpc_api.rpc_sync(self.owner(), run, args=(self, dist_autograd_ctx_id, retain_graph), timeout=0)


@register
def run(rref: RRef, context_id: int, retain_graph: bool) -> None:
    """On the owner."""
    value = rref.local_value()
    if not isinstance(value, Tensor):
        raise RRefError(
            f"RRef should contain a tensor for .backward(), and this one holds {type(value).__name__}"
        )
    if context_id < 0:
        root: Any = value
        root.backward(retain_graph=retain_graph)
    else:
        api.backward(context_id, [value], retain_graph)


RRef.backward = backward  # type: ignore[attr-defined]
