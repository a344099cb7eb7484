"""init_process_group, new_group, destroy_process_group: with RPC, without it, again and again, from outside."""

import os
import subprocess
import sys
import textwrap
import threading
from multiprocessing import get_context

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad import rpc
from nbgrad.collectives import world as collectives_world
from nbgrad.shm.binding import block_of, current
from tests.collectives.everywhere import error_of, everywhere
from tests.shm.place import unique


def sum_of_ones(group=None):
    x = nb.ones(3)
    dist.all_reduce(x, group=group)
    return x.tolist()[0]


# ---------------------------------------------------------------- without RPC


def alone(index, queue):
    dist.init_process_group("gloo")  # rank and size are known from spawn
    assert (dist.get_rank(), dist.get_world_size()) == (index, 2)
    assert sum_of_ones() == 2
    x = nb.ones(100_000)
    assert block_of(x.array)  # arrays are born in the segment
    dist.destroy_process_group()
    assert not current
    assert not block_of(nb.ones(100_000).array)
    for k in range(20):
        dist.init_process_group(rank=index, world_size=2, timeout=10)
        assert sum_of_ones() == 2
        if k % 2:
            dist.destroy_process_group()
        else:
            dist.destroy_process_group(dist.group.WORLD)
    queue.put(index)


def test_workers_of_spawn_need_no_address(nothing_left):
    queue = get_context("spawn").SimpleQueue()
    nb.multiprocessing.spawn(alone, (queue,), nprocs=2)
    assert {queue.get(), queue.get()} == {0, 1}
    queue.close()


def without_destroy(index):
    dist.init_process_group()
    dist.barrier()


def test_a_process_may_end_without_destroy(nothing_left):
    nb.multiprocessing.spawn(without_destroy, nprocs=2)


SCRIPT = """
    import nbgrad as nb
    import nbgrad.distributed as dist

    dist.init_process_group("gloo", timeout=30)
    x = nb.ones(3) * (dist.get_rank() + 1)
    dist.all_reduce(x)
    if dist.get_rank() == 0:
        print(x.tolist(), flush=True)
    dist.destroy_process_group()
"""


def test_nbgrad_run(nothing_left, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "nbgrad", "run", "--nproc", "3", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("[6.0, 6.0, 6.0]\n", 0), done.stderr


def test_processes_that_a_shell_started(nothing_left, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": unique("port"), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env=os.environ | address | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    answers = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0], answers
    assert answers[0][0] == "[3.0, 3.0, 3.0]\n"


def some_trainers(index, port):
    """RPC between all three, a process group of two of them, which meet under another name."""
    rpc.init_rpc(f"w{index}", rank=index, world_size=3)
    if index < 2:
        dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=index, world_size=2)
        x = nb.ones(50_000)  # born in RPC's segment
        dist.all_reduce(x)
        assert x.sum().item() == 100_000
        assert rpc.rpc_sync("w2", nb.sum, (x,)).item() == 100_000
        dist.destroy_process_group()
    rpc.shutdown()


def test_a_process_group_of_some_workers_of_rpc(nothing_left):
    nb.multiprocessing.spawn(some_trainers, (unique("trainers"),), nprocs=3)


# ---------------------------------------------------------------- beside RPC


def beside(rank, world):
    assert dist.is_initialized()
    assert error_of(dist.init_process_group)[1].startswith("trying to initialize the default")
    assert dist.get_backend() == "gloo"
    assert dist.GroupMember.WORLD is dist.group.WORLD is not None
    found = sum_of_ones()
    dist.destroy_process_group()
    assert not dist.is_initialized()
    assert "has not been initialized" in error_of(sum_of_ones)[1]
    assert "has not been initialized" in error_of(dist.barrier)[1]
    dist.init_process_group(rank=rank, world_size=world)
    return found + sum_of_ones()


def test_beside_rpc_and_again(group3):
    for _ in range(3):
        assert group3.call(everywhere, beside) == [6.0] * 3


def mixed(index):
    """The process group first, RPC in the middle, or the other way round."""
    if index == 0:
        dist.init_process_group("gloo", rank=0, world_size=2)
        rpc.init_rpc("w0", rank=0, world_size=2)
    else:
        dist.init_process_group("gloo", rank=1, world_size=2)
        rpc.init_rpc("w1", rank=1, world_size=2)
    assert rpc.rpc_sync(f"w{1 - index}", nb.add, (nb.ones(1), 1)).item() == 2
    assert sum_of_ones() == 2
    big = nb.ones(60_000)
    dist.all_reduce(big)
    assert rpc.rpc_sync(f"w{1 - index}", nb.sum, (big,)).item() == 120_000
    rpc.shutdown()
    assert sum_of_ones() == 2
    assert block_of(nb.ones(60_000).array)
    again = error_of(rpc.init_rpc, f"w{index}", rank=index, world_size=2)
    assert again is not None, "RPC must not start again in a group that is still in use"
    assert "destroy_process_group() first" in again[1]
    dist.destroy_process_group()
    rpc.init_rpc(f"w{index}", rank=index, world_size=2)
    rpc.shutdown()


def test_process_group_first_then_rpc(nothing_left):
    nb.multiprocessing.spawn(mixed, nprocs=2)


def other_rank(index):
    rpc.init_rpc(f"w{index}", rank=index, world_size=2)
    kind, text = error_of(dist.init_process_group, rank=1 - index, world_size=2)
    assert (kind, f"has rank {index}" in text) == ("StartupError", True)
    rpc.shutdown()


def test_one_rank_for_both(nothing_left):
    nb.multiprocessing.spawn(other_rank, nprocs=2)


# ---------------------------------------------------------------- groups of some


def subsets(rank, world):
    pair, single = dist.new_group([2, 0]), dist.new_group([1])
    everybody = dist.new_group()
    assert (pair == dist.GroupMember.NON_GROUP_MEMBER) == (rank == 1)
    if rank != 1:
        assert sum_of_ones(pair) == 2
        assert dist.get_process_group_ranks(pair) == [0, 2]
        assert (dist.get_rank(pair), dist.get_world_size(pair)) == (rank // 2, 2)
        assert dist.get_group_rank(pair, 2) == 1
        assert dist.get_global_rank(pair, 1) == 2
        x = nb.tensor([float(rank)])
        dist.broadcast(x, src=2, group=pair)  # a rank of the default group
        assert x.item() == 2
        dist.broadcast(x, group=pair, group_src=0)
        assert x.item() == 2
        x = nb.tensor([float(rank)])
        dist.broadcast(x, group=pair, group_src=0)
        assert x.item() == 0
        assert "which is not in the process group" in error_of(dist.broadcast, x, 1, pair)[1]
    else:
        assert dist.get_rank(pair) == dist.get_world_size(pair) == -1
        x = nb.ones(2)
        assert dist.all_reduce(x, group=pair) is None
        assert x.tolist() == [1, 1]
        assert sum_of_ones(single) == 1
    assert sum_of_ones(everybody) == 3
    if rank != 1:
        dist.destroy_process_group(pair)
        assert "destroyed" in error_of(sum_of_ones, pair)[1]
    assert sum_of_ones() == 3
    return [
        error_of(dist.new_group, [0, 3])[1],
        error_of(dist.new_group, [0, 0])[1],
        error_of(dist.new_group, backend="nccl")[1],
        error_of(dist.new_group, use_local_synchronization=True)[1],
    ]


def test_groups_of_some_ranks(group3):
    for found in group3.call(everywhere, subsets):
        parts = [
            "different ranks of the default group",
            "different ranks",
            "'nccl' is not there",
            "not supported",
        ]
        assert all(part in text for text, part in zip(found, parts))


def many_groups(rank, world):
    groups = [dist.new_group([0, 1] if k % 2 else None) for k in range(61)]
    assert [sum_of_ones(group) for group in groups] == [2] * 61
    full = error_of(dist.new_group)
    for group in groups[::3]:
        dist.destroy_process_group(group)
    more = [dist.new_group() for _ in groups[::3]]
    assert [sum_of_ones(group) for group in more + groups[1::3]] == [2] * len(more + groups[1::3])
    return full[1]


def test_slots_of_groups_are_used_again(group2):
    for text in group2.call(everywhere, many_groups):
        assert "62 process groups are open" in text


def different_groups(rank, world):
    found = error_of(dist.new_group, [0] if rank == 0 else [0, 1])
    assert sum_of_ones() == 2
    return found


def test_different_groups_are_an_error_on_all(group2):
    found = group2.call(everywhere, different_groups)
    assert [kind for kind, _ in found] == ["DesyncError"] * 2
    assert "ranks [0], and rank 1 with other ones" in found[0][1]


# ---------------------------------------------------------------- what is refused at the start


def missing_rank(index, event):
    if index == 0:
        kind, text = error_of(dist.init_process_group, rank=0, world_size=2, timeout=0.3)
        assert kind == "StartupError"
        assert "rank 1 did not join after 0.3 s" in text
        assert not dist.is_initialized()
        event.set()
    assert event.wait(20)


def test_missing_ranks_are_named(nothing_left):
    nb.multiprocessing.spawn(missing_rank, (get_context("spawn").Event(),), nprocs=2)


def refused(**arguments):
    return error_of(dist.init_process_group, **({"rank": 0, "world_size": 1} | arguments))


def test_what_can_not_be_is_refused(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert "'nccl' is not there" in refused(backend="nccl")[1]
    assert "need none" in refused(store=object())[1]
    assert "longer than nothing" in refused(timeout=0)[1]
    assert "environment variable RANK expected, but not set" in refused(rank=-1)[1]
    assert "has not been initialized" in error_of(dist.new_group)[1]
    assert "has not been initialized" in error_of(dist.destroy_process_group)[1]
    assert not dist.is_initialized()
    assert dist.is_available()


def address_tells(index):
    dist.init_process_group(init_method=f"tcp://localhost:1?rank={1 - index}&world_size=2")
    assert (dist.get_rank(), dist.get_world_size()) == (1 - index, 2)
    assert sum_of_ones() == 2
    dist.destroy_process_group()


def test_rank_and_size_from_the_address(nothing_left):
    nb.multiprocessing.spawn(address_tells, nprocs=2)


# ---------------------------------------------------------------- calls at once

returned = threading.Event()


def wait_for_return():
    """On worker 0: whether its init_process_group returns within a moment."""
    return returned.wait(0.1)


def late(rank, world):
    """Worker 1 knows of the group later than it has met the others; worker 0 returns after that."""
    found = []

    def open_late(*args):
        made = open_group(*args)
        found.append(rpc.rpc_sync(0, wait_for_return))
        return made

    open_group, returned_early = collectives_world.open_group, None
    returned.clear()
    if rank == 1:
        collectives_world.open_group = open_late
    try:
        dist.init_process_group("gloo", rank=rank, world_size=world, timeout=10)
        returned.set()
        returned_early = found
        assert rpc.rpc_sync(1 - rank, dist.is_initialized)
        dist.barrier()
    finally:
        collectives_world.open_group = open_group
        dist.destroy_process_group()
    return returned_early


def late_on_both():
    other = rpc.rpc_async(1, late, (1, 2))
    return late(0, 2), other.wait()


def test_who_returns_may_call_others_that_use_the_group(group2):
    assert group2.call(late_on_both) == ([], [False])
