import numpy as np
import pytest

import nbgrad as nb
from nbgrad.utils.data import DataLoader, IterableDataset, TensorDataset


def test_batches():
    data = TensorDataset(nb.arange(5))
    assert [x.tolist() for (x,) in DataLoader(data, 2)] == [[0, 1], [2, 3], [4]]
    loader = DataLoader(data, 2, drop_last=True, num_workers=2)
    assert [x.tolist() for (x,) in loader] == [[0, 1], [2, 3]]
    assert (len(loader), len(DataLoader(data, 2)), len(DataLoader(data, None))) == (2, 3, 5)
    assert len(loader.dataset) == 5


def test_a_new_order_in_each_epoch():
    loader = DataLoader(range(30), 30, shuffle=True, generator=nb.Generator().manual_seed(1))
    (first,), (second,) = loader, loader
    assert first.tolist() != second.tolist()
    assert sorted(first.tolist()) == list(range(30))


def test_orders_of_ones_own():
    assert [x.tolist() for x in DataLoader([7, 8, 9], 2, sampler=[2, 0])] == [[9, 7]]
    loader = DataLoader([7, 8, 9], batch_sampler=[[2], [0, 1]], collate_fn=list)
    assert list(loader) == [[9], [7, 8]]
    assert len(loader) == 2
    assert next(iter(DataLoader([np.ones(1), 5], None))).tolist() == [1.0]


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": [0], "shuffle": True},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "drop_last": True},
    ],
)
def test_options_that_exclude_each_other(options):
    with pytest.raises(ValueError, match="mutually exclusive"):
        DataLoader([1, 2], **options)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))

    def __len__(self):
        return 5


def test_a_stream():
    loader = DataLoader(Stream(), 2)
    assert [x.tolist() for x in loader] == [[0, 1], [2, 3], [4]]
    assert [x.tolist() for x in DataLoader(Stream(), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(), None)) == [0, 1, 2, 3, 4]
    assert (len(loader), len(DataLoader(Stream(), None))) == (3, 5)
    assert len(DataLoader(Stream(), 2, drop_last=True)) == 2
    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Stream(), 2, shuffle=True)
