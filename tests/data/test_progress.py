"""A loader that goes on from its state gives the batches that the other one would have given."""

import itertools

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.checkpoint import load_file, save_file
from nbgrad.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset


class Noisy(Dataset):
    """Items with random numbers of the process that makes them."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index + nb.rand(1).item() / 2


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(7))


def epochs(loader, n_batches):
    """Batches of as many epochs as it takes."""
    every = itertools.chain.from_iterable(loader for _ in range(9))
    return [np.asarray(batch).tolist() for batch in itertools.islice(every, n_batches)]


WAYS = [
    {"shuffle": True},
    {"shuffle": True, "num_workers": 2},
    {"shuffle": True, "own": True},
    {"sampler": DistributedSampler(range(10), 2, 1)},
    {"batch_size": None, "shuffle": True},
]


def loader_of(own=False, dataset=None, **options):
    generator = nb.Generator().manual_seed(9) if own else None
    return DataLoader(dataset or Noisy(), **({"batch_size": 3} | options), generator=generator)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("n_done", [1, 3, 4, 6])
def test_the_rest_of_an_epoch(tmp_path, way, n_done, nothing_left):
    nb.manual_seed(1)
    loader = loader_of(**way)
    seen, n_batches = [], 0
    while n_batches < n_done:
        for batch in loader:
            n_batches += 1
            if n_batches == n_done:
                state = {"loader": loader.state_dict(), "rng": nb.get_rng_state()}
                save_file(state, tmp_path / "state")
            if n_batches > n_done:
                seen.append(np.asarray(batch).tolist())
    seen += epochs(loader, 9)
    nb.manual_seed(2)
    again = loader_of(**way)
    state = load_file(tmp_path / "state")
    again.load_state_dict(state["loader"])
    nb.set_rng_state(state["rng"])
    assert epochs(again, len(seen)) == seen


def test_between_two_epochs():
    loader = loader_of(shuffle=True)
    first = list(loader)
    state = loader.state_dict()
    again = loader_of(shuffle=True)
    again.load_state_dict(state)
    assert len(list(again)) == len(first)


def test_an_epoch_that_was_left_is_over():
    loader = loader_of()
    for _ in loader:
        break
    again = loader_of()
    again.load_state_dict(loader.state_dict())
    assert len(list(again)) == len(loader)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_stream_begins_anew_without_what_was_handed_out(n_workers, nothing_left):
    loader = loader_of(dataset=Stream(), num_workers=n_workers)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    rest = [np.asarray(batch).tolist() for batch in batches]
    again = loader_of(dataset=Stream(), num_workers=n_workers)
    again.load_state_dict(state)
    assert [np.asarray(batch).tolist() for batch in again] == rest
    assert np.sum([sum(batch) for batch in rest]) > 0
