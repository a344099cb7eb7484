"""Data sets: those that ship with nbgrad, and the way from any to batches."""

from nbgrad.data.dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from nbgrad.data.digits import Digits, digits
from nbgrad.data.loader import DataLoader, default_collate
from nbgrad.data.sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
