"""Optimizers: each step is one native pass over parameters, gradients and state."""

from nbgrad.optim import lr_scheduler
from nbgrad.optim.adadelta import Adadelta
from nbgrad.optim.adagrad import Adagrad
from nbgrad.optim.adam import Adam
from nbgrad.optim.adamax import Adamax
from nbgrad.optim.adamw import AdamW
from nbgrad.optim.distributed import DistributedOptimizer
from nbgrad.optim.lbfgs import LBFGS
from nbgrad.optim.nadam import NAdam
from nbgrad.optim.optimizer import Optimizer
from nbgrad.optim.radam import RAdam
from nbgrad.optim.rmsprop import RMSprop
from nbgrad.optim.rprop import Rprop
from nbgrad.optim.sgd import SGD
from nbgrad.optim.sparse_adam import SparseAdam

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "DistributedOptimizer",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
]
