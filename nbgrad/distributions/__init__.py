"""`nbgrad.distributions`: distributions under PyTorch's name."""

from nbgrad.nn.categorical import Categorical

__all__ = ["Categorical"]
