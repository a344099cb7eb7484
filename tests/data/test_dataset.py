import pytest

import nbgrad as nb
from nbgrad.errors import ShapeError
from nbgrad.utils.data import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)


def test_rows_of_tensors():
    data = TensorDataset(nb.arange(6).reshape(3, 2), nb.arange(3))
    assert len(data) == 3
    x, y = data[1]
    assert (x.tolist(), y.item()) == ([2, 3], 1)
    with pytest.raises(ShapeError, match="Size mismatch between tensors"):
        TensorDataset(nb.zeros(2), nb.zeros(3))
    with pytest.raises(ShapeError):
        TensorDataset()


def test_a_subclass_must_say_what_an_item_is():
    with pytest.raises(NotImplementedError, match="Nothing needs a method __getitem__"):
        type("Nothing", (Dataset,), {})()[0]
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())


def test_one_behind_the_other():
    both = TensorDataset(nb.arange(2)) + TensorDataset(nb.arange(2, 5))
    assert [both[k][0].item() for k in range(5)] == [0, 1, 2, 3, 4]
    assert both[-1][0].item() == 4
    assert len(both) == 5
    with pytest.raises(IndexError):
        both[5]
    with pytest.raises(ValueError, match="empty"):
        ConcatDataset([])


def test_a_subset():
    part = Subset("abcdef", [4, 1])
    assert (len(part), part[0], part[1]) == (2, "e", "b")


def test_random_parts_hold_each_item_once():
    parts = random_split(range(10), [6, 4], generator=nb.Generator().manual_seed(1))
    assert [len(part) for part in parts] == [6, 4]
    assert sorted(part[k] for part in parts for k in range(len(part))) == list(range(10))
    again = random_split(range(10), [6, 4], generator=nb.Generator().manual_seed(1))
    assert again[0].indices == parts[0].indices
    assert [len(part) for part in random_split(range(11), [0.5, 0.5])] == [6, 5]
    with pytest.raises(ValueError, match="Sum of input lengths"):
        random_split(range(10), [6, 5])
