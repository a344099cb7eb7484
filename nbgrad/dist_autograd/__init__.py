"""Distributed autograd: one backward pass over the graphs of many workers; the names of `torch.distributed.autograd`."""

from nbgrad.dist_autograd import rref
from nbgrad.dist_autograd.api import (
    _current_context,
    _get_debug_info,
    _get_max_id,
    _is_valid_context,
    _new_context,
    _release_context,
    _retrieve_context,
    backward,
    context,
    get_gradients,
    is_available,
)
from nbgrad.dist_autograd.context import Context as DistAutogradContext
from nbgrad.dist_autograd.graph import Graph, GraphNode, graph
from nbgrad.dist_autograd.statistics import PartStatistics, pass_statistics

__all__ = [
    "DistAutogradContext",
    "Graph",
    "GraphNode",
    "PartStatistics",
    "_current_context",
    "_get_debug_info",
    "_get_max_id",
    "_is_valid_context",
    "_new_context",
    "_release_context",
    "_retrieve_context",
    "backward",
    "context",
    "get_gradients",
    "graph",
    "is_available",
    "pass_statistics",
]
