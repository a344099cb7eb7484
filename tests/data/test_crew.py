"""A DataLoader with worker processes: batches, order, errors, deaths, and what stays behind."""

import gc
import multiprocessing
import os
import signal
import threading

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.data.crew import Crew
from nbgrad.errors import LoaderError
from nbgrad.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
)


class Squares(Dataset):
    def __len__(self):
        return 11

    def __getitem__(self, index):
        return np.full(2, index * index, np.float32), index


class Who(Dataset):
    """Who made an item, and with which random numbers."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        info = get_worker_info()
        draws = nb.rand(1).item(), np.random.rand()  # noqa: NPY002
        return {"pid": os.getpid(), "id": info.id, "draws": draws, "seed": info.seed}


class Failing(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == 3:
            raise IndexError("item three is bad")
        return index


class Killed(Failing):
    def __getitem__(self, index):
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


class Waiting(Failing):
    def __getitem__(self, index):
        threading.Event().wait()


class Numbers(IterableDataset):
    """A stream that its workers share."""

    def __iter__(self):
        info = get_worker_info()
        return iter(range(info.id, 10, info.num_workers))


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


class Unmakeable(Failing):
    def __getitem__(self, index):
        raise Odd(1, 2)


def values(loader):
    return [[part.tolist() for part in batch] for batch in loader]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefetch_factor": 1},
        {"prefetch_factor": 5, "persistent_workers": True},
        {"multiprocessing_context": "fork"},
        {"multiprocessing_context": multiprocessing.get_context("spawn")},
        {"batch_size": None},
        {"timeout": 30.0, "drop_last": True},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_same_batches_as_without_workers(options, nothing_left):
    plain = {k: v for k, v in options.items() if k in ("batch_size", "drop_last")}
    expected = [
        [part.tolist() if hasattr(part, "tolist") else part for part in batch]
        for batch in DataLoader(Squares(), **({"batch_size": 3} | plain))
    ]
    loader = DataLoader(Squares(), **({"batch_size": 3, "num_workers": 2} | options))
    for _ in range(2):
        found = [
            [part.tolist() if hasattr(part, "tolist") else part for part in batch]
            for batch in loader
        ]
        assert found == expected
    assert (loader.crew is not None) == bool(options.get("persistent_workers"))
    loader.dismiss()


def test_batches_are_kept_as_long_as_one_likes(nothing_left):
    data = TensorDataset(nb.arange(4000).reshape(40, 100).float())
    loader = DataLoader(data, 4, num_workers=2, persistent_workers=True)
    kept = [x for (x,) in loader]
    others = [x for (x,) in loader]
    assert nb.cat(kept).tolist() == nb.cat(others).tolist() == data.tensors[0].tolist()
    kept.clear()
    others.clear()
    for (x,) in loader:
        x.zero_()  # they are the loader's
    assert nb.cat([x for (x,) in loader]).tolist() == data.tensors[0].tolist()
    slots = [len(member.windows.maps) for member in loader.crew.members]
    for _ in range(5):
        assert sum(1 for _ in loader) == 10
    assert [len(member.windows.maps) for member in loader.crew.members] == slots
    loader.dismiss()


def test_an_epoch_that_is_left_does_not_disturb_the_next(nothing_left):
    loader = DataLoader(Squares(), 2, num_workers=2, persistent_workers=True)
    expected = values(loader)
    pids = loader.crew.pids()
    for _ in range(3):
        next(iter(loader))
    assert values(loader) == expected
    assert loader.crew.pids() == pids
    loader.dismiss()


def test_random_numbers_do_not_depend_on_who_makes_a_batch(nothing_left):
    found = []
    for n_workers in (1, 2, 3):
        nb.manual_seed(4)
        loader = DataLoader(Who(), 2, num_workers=n_workers, collate_fn=list)
        found.append(list(loader))
    draws = [[item["draws"] for batch in epoch for item in batch] for epoch in found]
    assert draws[0] == draws[1] == draws[2]
    assert len(set(draws[0])) == 8
    last = [item for batch in found[2] for item in batch]
    assert sorted({item["id"] for item in last}) == [0, 1, 2]
    assert os.getpid() not in {item["pid"] for item in last}
    assert len({item["seed"] - item["id"] for item in last}) == 1
    assert get_worker_info() is None


def note(worker_id, folder):
    (folder / str(worker_id)).write_text("here")


def test_worker_init_fn(tmp_path, nothing_left):
    import functools

    init = functools.partial(note, folder=tmp_path)
    assert len(list(DataLoader(Squares(), 3, num_workers=2, worker_init_fn=init))) == 4
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]


def fail(worker_id):
    raise KeyError(f"no license for {worker_id}")


def test_worker_init_fn_that_fails(nothing_left):
    with pytest.raises(KeyError, match="no license for 0"):
        list(DataLoader(Squares(), 3, num_workers=2, worker_init_fn=fail))


def test_a_stream_is_shared(nothing_left):
    loader = DataLoader(Numbers(), 2, num_workers=3)
    assert sorted(x for batch in loader for x in batch.tolist()) == list(range(10))
    assert sorted(DataLoader(Numbers(), None, num_workers=2)) == list(range(10))
    loader = DataLoader(Numbers(), 2, num_workers=3, drop_last=True)
    assert [len(batch) for batch in loader] == [2, 2, 2, 2]


def test_an_error_comes_with_its_traceback(nothing_left):
    with pytest.raises(IndexError, match="item three is bad") as caught:
        list(DataLoader(Failing(), 2, num_workers=2))
    assert "worker process 1" in str(caught.value)
    assert "__getitem__" in str(caught.value)
    with pytest.raises(LoaderError, match="Odd"):
        list(DataLoader(Unmakeable(), 2, num_workers=1))


def test_a_killed_worker_is_named(nothing_left):
    loader = DataLoader(Killed(), 1, num_workers=2, persistent_workers=True)
    batches = iter(loader)
    assert next(batches).item() == 0
    pid = loader.crew.pids()[1]
    with pytest.raises(LoaderError, match=rf"pid {pid}\) exited unexpectedly with signal SIGKILL"):
        list(batches)
    with pytest.raises(LoaderError, match="SIGKILL"):
        list(loader)  # another crew, the same end
    assert loader.crew is None


def test_time_out(nothing_left):
    with pytest.raises(LoaderError, match=r"timed out after 0\.\d+ seconds"):
        list(DataLoader(Waiting(), 1, num_workers=1, timeout=0.2))


def test_workers_go_with_the_loader(nothing_left):
    loader = DataLoader(Squares(), 1, num_workers=2, persistent_workers=True)
    next(iter(loader))
    assert isinstance(loader.crew, Crew)
    del loader
    gc.collect()  # nothing_left looks for the processes


def test_what_can_not_travel_is_told(nothing_left):
    loader = DataLoader(Squares(), 3, num_workers=1, collate_fn=lambda items: items)
    with pytest.raises((AttributeError, OSError, TypeError), match="pickle") as caught:
        list(loader)
    assert "multiprocessing_context" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor option could only"),
        ({"persistent_workers": True}, "persistent_workers option needs"),
        ({"num_workers": 1, "prefetch_factor": 0}, "should be positive"),
        ({"timeout": -1}, "timeout option should be non-negative"),
    ],
)
def test_options_that_make_no_sense(options, match):
    with pytest.raises(ValueError, match=match):
        DataLoader([1], **options)
