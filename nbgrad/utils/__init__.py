"""`nbgrad.utils`: PyTorch's name for rooms of nbgrad."""

from nbgrad.utils import data

__all__ = ["data"]
