"""Membership in a group of one process: what questions answer, before and after."""

import pytest

import nbgrad.distributed as dist
from nbgrad.errors import ProcessGroupError


@pytest.fixture
def alone():
    dist.init_process_group("gloo", "tcp://127.0.0.1:29600", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_before_a_group():
    assert not dist.is_initialized()
    assert dist.group.WORLD is None
    for ask in (dist.get_rank, dist.get_world_size, dist.get_backend, dist.get_process_group_ranks):
        with pytest.raises(
            ProcessGroupError, match="Default process group has not been initialized"
        ):
            ask()


def test_in_a_group(alone):
    assert dist.is_initialized()
    assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "gloo")
    pg = dist.group.WORLD
    assert isinstance(pg, dist.ProcessGroup)
    assert (pg.rank(), pg.size(), dist.get_process_group_ranks(pg)) == (0, 1, [0])
    assert dist.get_global_rank(pg, 0) == dist.get_group_rank(pg, 0) == 0
    with pytest.raises(ProcessGroupError, match="Global rank 3 is not part of group"):
        dist.get_group_rank(pg, 3)
    with pytest.raises(ProcessGroupError, match="group rank 1 is not part"):
        dist.get_global_rank(pg, 1)
    with pytest.raises(ProcessGroupError, match="but a ProcessGroup"):
        dist.get_rank("everybody")


def test_outside_of_a_group(alone):
    outside = dist.GroupMember.NON_GROUP_MEMBER
    assert (dist.get_rank(outside), dist.get_world_size(outside)) == (-1, -1)
    assert dist.get_process_group_ranks(outside) == []
    with pytest.raises(ProcessGroupError, match="not a member"):
        dist.get_backend(outside)


def test_what_is_there():
    assert dist.is_available()
    assert dist.is_gloo_available()
    assert not dist.is_nccl_available()
    assert not dist.is_mpi_available()
