import pytest

import nbgrad as nb
from nbgrad.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)


def test_in_order():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert len(SequentialSampler("abc")) == 3
    with pytest.raises(NotImplementedError):
        iter(Sampler())


def test_at_random():
    sampler = RandomSampler(range(20), generator=nb.Generator().manual_seed(1))
    first, second = list(sampler), list(sampler)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(20))
    assert len(list(RandomSampler(range(3), num_samples=7))) == 7
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=50))
    assert (len(drawn), set(drawn)) == (50, {0, 1, 2})


def test_in_batches():
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert (len(BatchSampler(range(5), 2, False)), len(BatchSampler(range(5), 2, True))) == (3, 2)
    with pytest.raises(ValueError, match="batch_size"):
        BatchSampler(range(5), 0, False)


@pytest.mark.parametrize(("drop_last", "share"), [(False, 4), (True, 3)])
def test_shares_of_workers(drop_last, share):
    samplers = [DistributedSampler(range(10), 3, rank, drop_last=drop_last) for rank in range(3)]
    shares = [list(sampler) for sampler in samplers]
    assert [len(part) for part in shares] == [len(s) for s in samplers] == [share] * 3
    together = [index for part in shares for index in part]
    assert len(set(together)) == min(10, 3 * share)
    for sampler in samplers:
        sampler.set_epoch(1)
    assert [list(sampler) for sampler in samplers] != shares
    assert list(DistributedSampler(range(2), 5, 4, shuffle=False)) == [0]


def test_wrong_places_are_refused():
    with pytest.raises(ValueError, match="Invalid rank 3"):
        DistributedSampler(range(10), 3, 3)
    with pytest.raises(ValueError, match="init_rpc"):
        DistributedSampler(range(10))


def share_of_this_worker():
    return list(DistributedSampler(range(4), shuffle=False))


def both_shares():
    return share_of_this_worker(), nb.rpc.rpc_sync(1, share_of_this_worker)


def test_the_group_says_the_place(group2):
    assert group2.call(both_shares) == ([0, 2], [1, 3])
