"""Data sets: those that ship with nbgrad, and the way from any to batches."""

from nbgrad.data.cars import cars
from nbgrad.data.collate import default_collate
from nbgrad.data.dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from nbgrad.data.digits import Digits, digits
from nbgrad.data.loader import DataLoader
from nbgrad.data.sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from nbgrad.data.serve import get_worker_info
from nbgrad.data.table import Table, table
from nbgrad.data.text import Text, text
