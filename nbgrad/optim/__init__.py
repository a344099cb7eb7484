"""Optimizers: each step is one native pass over parameters, gradients and state."""

from nbgrad.optim.adam import Adam
from nbgrad.optim.adamw import AdamW
from nbgrad.optim.distributed import DistributedOptimizer
from nbgrad.optim.optimizer import Optimizer
from nbgrad.optim.sgd import SGD
from nbgrad.optim.sparse_adam import SparseAdam

__all__ = ["SGD", "Adam", "AdamW", "DistributedOptimizer", "Optimizer", "SparseAdam"]
