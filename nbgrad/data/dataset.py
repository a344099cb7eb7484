"""Data sets: something with a length and numbered items."""

from collections.abc import Iterator, Sequence
from typing import Any

from nbgrad.autograd import Tensor
from nbgrad.errors import ShapeError
from nbgrad.ops import randperm


class Dataset:
    """Base of data sets: a subclass has `__getitem__(index)` and `__len__()`.

    Examples
    --------
    >>> from nbgrad.utils.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return index**2
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(index)")

    def __add__(self, other: "Dataset") -> "ConcatDataset":
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Base of data sets that are a stream: a subclass has `__iter__()`, which gives one item after the other."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} needs a method __iter__()")


class TensorDataset(Dataset):
    """Item k holds row k of each tensor.

    Raises
    ------
    ShapeError
        If the tensors have not the same number of rows.

    Examples
    --------
    >>> import nbgrad as nb
    >>> from nbgrad.utils.data import TensorDataset
    >>> x, y = TensorDataset(nb.zeros(3, 2), nb.arange(3))[2]
    >>> x.shape, y.item()
    (Size([2]), 2)
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors or len({tensor.shape[0] for tensor in tensors}) != 1:
            raise ShapeError(
                f"Size mismatch between tensors: TensorDataset needs one or more with equally many rows, got shapes "
                f"{[tuple(tensor.shape) for tensor in tensors]}"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple:
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class ConcatDataset(Dataset):
    """Several data sets, one behind the other."""

    def __init__(self, datasets: Any) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable")

    def __len__(self) -> int:
        return sum(len(part) for part in self.datasets)

    def __getitem__(self, index: int) -> Any:
        place = index + len(self) if index < 0 else index
        for part in self.datasets:
            if 0 <= place < len(part):
                return part[place]
            place -= len(part)
        raise IndexError(f"item {index} of {len(self)} items does not exist")


class Subset(Dataset):
    """Some items of a data set, by their numbers."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[Any], generator: Any = None) -> list[Subset]:
    """Cut a data set at random into parts.

    Parameters
    ----------
    dataset : Dataset
        Something with a length and numbered items.
    lengths : sequence of int, or of float
        Items of each part; fractions that sum to 1 are shares of the whole.
    generator : Generator, optional
        Where the order is drawn from; default: this process's.

    Raises
    ------
    ValueError
        If the lengths don't sum to that of the data set.

    Examples
    --------
    >>> from nbgrad.utils.data import random_split
    >>> [len(part) for part in random_split(range(10), [0.7, 0.3])]
    [7, 3]
    """
    n = len(dataset)
    if abs(sum(lengths) - 1.0) < 1e-6 and all(0 <= share <= 1 for share in lengths):
        counts = [int(n * share) for share in lengths]
        for k in range(n - sum(counts)):
            counts[k % len(counts)] += 1
    else:
        counts = list(lengths)
    if sum(counts) != n:
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset: {counts} sum to {sum(counts)}, and the "
            f"data set has {n} items"
        )
    order = randperm(n, generator=generator).tolist()
    ends = [sum(counts[: k + 1]) for k in range(len(counts))]
    return [
        Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)
    ]
