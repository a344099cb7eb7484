"""init_rpc and shutdown: places, late workers, timeouts, forgotten shutdowns, many groups in one process."""

import contextlib
import os
import re
import threading
import time

import psutil
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import (
    ProcessExitedException,
    ProcessRaisedException,
    RpcError,
    RpcTimeout,
    SharedMemoryFull,
    StartupError,
    WorkerDied,
)
from nbgrad.rpc import api, state
from nbgrad.rpc.future import agents
from nbgrad.shm import words
from nbgrad.shm.layout import BUSY, FRONT
from tests.group.programs import program
from tests.groups import eventually, fresh

# ---------------------------------------------------------------- programs of workers


def identity(x):
    return x


def note(folder, rank, text):
    (folder / f"{rank}").write_text(str(text))


def noted(folder, world):
    return [(folder / f"{rank}").read_text() for rank in range(world)]


def spawn(function, *args, nprocs=2):
    nb.multiprocessing.spawn(function, args=args, nprocs=nprocs)


def join(rank, world=2, **options):
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=world, **options)


# ---------------------------------------------------------------- init_rpc


def init_twice(rank, folder):
    join(rank)
    try:
        join(rank)
    except RpcError as error:
        note(folder, rank, error)
    rpc.shutdown()


def test_init_twice_is_refused(nothing_left, tmp_path):
    spawn(init_twice, tmp_path)
    assert all("RPC is already initialized" in text for text in noted(tmp_path, 2))


def by_environment(rank, folder):
    os.environ.update(RANK=str(rank), WORLD_SIZE="2")
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=4, rpc_timeout=7)
    rpc.init_rpc(f"w{rank}", rpc.BackendType.TENSORPIPE, rpc_backend_options=options)
    infos = [
        rpc.get_worker_info(),
        rpc.get_worker_info("w1"),
        rpc.rpc_sync("w1", rpc.get_worker_info),
    ]
    note(
        folder,
        rank,
        (infos == [rpc.WorkerInfo(f"w{rank}", rank), *infos[1:]], infos[1] == infos[2]),
    )
    assert rpc.get_rpc_timeout() == 7
    rpc.shutdown()


def test_the_place_comes_from_the_environment(nothing_left, tmp_path):
    spawn(by_environment, tmp_path)
    assert noted(tmp_path, 2) == ["(True, True)"] * 2


def by_url(rank, folder, kind):
    url = {"tcp": "tcp://127.0.0.1:29500", "file": f"file://{folder}/meeting"}[kind]
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"{url}?rank={rank}&world_size=2")
    rpc.init_rpc(f"worker{rank}", rpc_backend_options=options)
    note(folder, rank, rpc.get_worker_info().id == rank)
    rpc.shutdown()


@pytest.mark.parametrize("kind", ["tcp", "file"])
def test_the_place_comes_from_a_url(nothing_left, tmp_path, monkeypatch, kind):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    spawn(by_url, tmp_path, kind)
    assert noted(tmp_path, 2) == ["True"] * 2


def alone(rank, folder):
    join(0, 1)
    x = nb.tensor([2.0], requires_grad=True)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync("worker0", identity, (x,))
        dist_autograd.backward(context_id, [(y * y).sum()])
        gradient = dist_autograd.get_gradients(context_id)[x].item()
    note(folder, rank, (rpc.remote(0, identity, (5,)).to_here(), gradient))
    rpc.shutdown()


def test_a_group_of_one(nothing_left, tmp_path):
    spawn(alone, tmp_path, nprocs=1)
    assert noted(tmp_path, 1) == ["(5, 4.0)"]


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"rank": 0, "world_size": 0}, StartupError, "0 of 0"),
        ({"rank": 2, "world_size": 2}, StartupError, "rank 2 of 2"),
        ({"rank": 0, "world_size": 32}, StartupError, "1 to 31"),
        ({"rank": 0, "world_size": None}, ValueError, "WORLD_SIZE"),
        ({"rank": -1, "world_size": 2}, ValueError, "RANK"),
        ({"rank": 0, "world_size": 1, "rpc_backend_options": 5}, TypeError, "int"),
        ({"rank": 0, "world_size": 1, "backend": "gloo"}, TypeError, "'gloo' of type str"),
        ({"rank": 0, "world_size": 2}, StartupError, "nothing names the group.*MASTER_PORT"),
    ],
)
def test_wrong_places_are_refused(monkeypatch, arguments, kind, text):
    for name in ("RANK", "WORLD_SIZE", "NBGRAD_RUN_ID", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(kind, match=text):
        rpc.init_rpc("worker", **arguments)
    assert not rpc._is_current_rpc_agent_set()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a" * 128, None, 5])
def test_bad_names_are_refused(name):
    with pytest.raises(ValueError, match="1 to 127 letters"):
        rpc.init_rpc(name, rank=0, world_size=1)


def no_memory(agent):
    raise SharedMemoryFull("no room for 20 MiB more")


def starts_without_memory(rank, folder):
    if rank == 1:
        api.on_start.append(no_memory)
    try:
        rpc.init_rpc(f"w{rank}", rank=rank, world_size=2)
        rpc.rpc_sync(1 - rank, abs, (-1,))
    except (SharedMemoryFull, WorkerDied) as error:
        note(folder, rank, f"{type(error).__name__}: {error} {state.State.agent is None}")
        if rank == 1:
            assert not agents


def test_a_worker_that_can_not_start_is_told_to_the_others(nothing_left, tmp_path):
    with contextlib.suppress(ProcessExitedException):  # who ends first is not fixed
        spawn(starts_without_memory, tmp_path)
    survivor, failed = noted(tmp_path, 2)
    assert "WorkerDied: worker 'w1'" in survivor
    assert "SharedMemoryFull: no room for 20 MiB" in failed
    assert failed.endswith("True")


def twins(rank, folder):
    try:
        rpc.init_rpc("twin", rank=rank, world_size=2)
    except StartupError as error:
        note(folder, rank, error)


def test_names_must_differ(nothing_left, tmp_path):
    spawn(twins, tmp_path)
    assert all("'twin' is not unique: ranks 0 and 1" in text for text in noted(tmp_path, 2))


@pytest.mark.parametrize(
    "function", [rpc.shutdown, rpc.get_worker_info, rpc.get_rpc_timeout, rpc.statistics]
)
def test_everything_needs_a_group(function):
    with pytest.raises(RpcError, match="RPC has not been initialized"):
        function()


# ---------------------------------------------------------------- shutdown


def late(rank, folder):
    """Worker 1 comes late; until then it can still call the others, who are in shutdown."""
    join(rank)
    if rank == 1:
        time.sleep(0.2)
        note(folder, rank, rpc.rpc_sync(0, identity, ("served",)))
    start = time.monotonic()
    rpc.shutdown()
    if rank == 0:
        note(folder, rank, time.monotonic() - start > 0.1)
    assert not rpc._is_current_rpc_agent_set()


def test_shutdown_serves_until_the_last_comes(nothing_left, tmp_path):
    spawn(late, tmp_path)
    assert noted(tmp_path, 2) == ["True", "served"]


def chain_of_calls(depth):
    """A call that makes calls after its caller has entered shutdown."""
    time.sleep(0.02)
    if depth:
        future = rpc.rpc_async(1 - rpc.get_worker_info().id, chain_of_calls, (depth - 1,))
        future.add_done_callback(lambda _: None)
        return future.wait()
    return "end"


def leave_with_calls_under_way(rank, folder):
    join(rank)
    future = rpc.rpc_async(1 - rank, chain_of_calls, (5,))
    rpc.shutdown()
    note(folder, rank, future.value())


def test_calls_under_way_end_before_the_group_does(nothing_left, tmp_path):
    spawn(leave_with_calls_under_way, tmp_path)
    assert noted(tmp_path, 2) == ["end"] * 2


def leave_in_time(rank, folder):
    join(rank)
    if rank == 0:
        start = time.monotonic()
        try:
            rpc.shutdown(timeout=0.2)
        except RpcTimeout as error:
            note(folder, rank, f"{time.monotonic() - start < 1.0} {error}")
    else:
        time.sleep(0.5)
        rpc.shutdown(graceful=False)


def test_shutdown_has_a_timeout_that_names_who_is_missing(nothing_left, tmp_path):
    spawn(leave_in_time, tmp_path)
    text = (tmp_path / "0").read_text()
    assert text.startswith("True shutdown timed out")
    assert "worker1" in text


def leave_at_once(rank, folder):
    join(rank, 3)
    rpc.shutdown(graceful=False)
    note(folder, rank, rpc._is_current_rpc_agent_set())


def test_shutdown_may_wait_for_nobody(nothing_left, tmp_path):
    spawn(leave_at_once, tmp_path, nprocs=3)
    assert noted(tmp_path, 3) == ["False"] * 3


def forget_shutdown(rank):
    join(rank)
    rpc.rpc_sync(1 - rank, identity, (1,))
    rpc._barrier()


def test_a_forgotten_shutdown_ends_the_run(nothing_left):
    start = time.monotonic()
    spawn(forget_shutdown)  # each has left at its exit
    assert time.monotonic() - start < 10


def fail_while_others_serve(rank):
    join(rank, 3)
    if rank == 1:
        raise LookupError(f"worker 1 has no luck at {time.monotonic()}")
    rpc.shutdown()


def test_an_error_in_one_worker_ends_the_group_and_is_told(nothing_left):
    with pytest.raises(ProcessRaisedException, match="worker 1 has no luck") as caught:
        spawn(fail_while_others_serve, nprocs=3)
    told = time.monotonic()
    assert caught.value.error_index == 1
    raised = float(
        re.search(r"no luck at ([\d.]+)", str(caught.value))[1]
    )  # one clock for all processes
    assert told - raised < 5


def shutdown_in_a_thread(rank, folder):
    """shutdown, and calls, from a thread that is not the main one."""
    join(rank)
    thread = threading.Thread(target=rpc.shutdown)
    thread.start()
    thread.join()
    note(folder, rank, rpc._is_current_rpc_agent_set())


def test_shutdown_from_a_thread(nothing_left, tmp_path):
    spawn(shutdown_in_a_thread, tmp_path)
    assert noted(tmp_path, 2) == ["False"] * 2


# ---------------------------------------------------------------- again and again


def figures():
    """(descriptors, threads, MiB) of this process, when threads that have been joined are gone."""
    eventually(lambda: psutil.Process().num_threads() <= threading.active_count())
    process = psutil.Process()
    return process.num_fds(), process.num_threads(), process.memory_info().rss >> 20


def again(rank, folder, n):
    found = []
    for k in range(n):
        rpc.init_rpc(f"generation{k}-{rank}", rank=rank, world_size=2)
        x = nb.tensor([1.0, 2.0], requires_grad=True)
        with dist_autograd.context() as context_id:
            y = rpc.rpc_sync(f"generation{k}-{1 - rank}", identity, (x * k,))
            dist_autograd.backward(context_id, [y.sum()])
            assert dist_autograd.get_gradients(context_id)[x].array.tolist() == [k, k]
        assert rpc.remote(1 - rank, identity, (k,)).to_here() == k
        rpc.shutdown()
        found.append(figures())
    first, last = found[4], found[-1]
    note(folder, rank, (last[0] - first[0], last[1] - first[1], last[2] - first[2] < 8))


def test_a_group_may_form_20_times(nothing_left, tmp_path):
    spawn(again, tmp_path, 20)
    assert noted(tmp_path, 2) == ["(0, 0, True)"] * 2


def sleep_and_return(seconds, x):
    time.sleep(seconds)
    return x


def in_front():
    """(threads in front, threads that run a request) of this worker; the one that asks is among them."""
    own = state.agent().own
    return words.load(own + FRONT), words.load(own + BUSY)


def outlived(rank, folder):
    """Requests of the first group still run when the second one forms: they reach nobody there."""
    join(rank)
    if rank == 0:
        for _ in range(3):
            with pytest.raises(RpcTimeout):
                rpc.rpc_sync(1, sleep_and_return, (2.7, "stale"), timeout=0.03)
    else:
        time.sleep(0.2)  # its serving threads run them, not its main thread in shutdown
    rpc.shutdown()
    join(rank)
    if rank == 0:
        futures = [rpc.rpc_async(1, sleep_and_return, (0.9, k)) for k in range(6)]
        fresh = [future.wait() for future in futures]
        note(folder, rank, (fresh, rpc.rpc_sync(1, in_front)))
    rpc.shutdown()


def test_requests_that_outlive_their_group_reach_nobody(nothing_left, tmp_path):
    spawn(outlived, tmp_path)
    assert (tmp_path / "0").read_text() == "([0, 1, 2, 3, 4, 5], (1, 1))"


def changing_ranks(rank, folder):
    """The same processes form groups with other ranks."""
    seen = []
    for k in range(6):
        place = (rank + k) % 3
        rpc.init_rpc(f"worker{place}", rank=place, world_size=3)
        seen.append(rpc.rpc_sync((place + 1) % 3, rpc.get_worker_info).id)
        rpc.shutdown()
    note(folder, rank, seen == [(rank + k + 1) % 3 for k in range(6)])


def test_ranks_may_change_between_groups(nothing_left, tmp_path):
    spawn(changing_ranks, tmp_path, nprocs=3)
    assert noted(tmp_path, 3) == ["True"] * 3


# ---------------------------------------------------------------- functions of __main__

MAIN = """
import nbgrad as nb
from nbgrad import rpc

class OfMain:
    def __init__(self, n): self.n = n
    def double(self): return OfMain(2 * self.n)

def of_main(x, *, y=0):
    return x + y

def work(rank):
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=2)
    if rank == 0:
        assert rpc.rpc_sync(1, of_main, (1,), {"y": 2}) == 3
        assert rpc.rpc_sync(1, OfMain(4).double).n == 8
        assert type(rpc.remote(1, OfMain, (5,)).to_here()) is OfMain
        assert float(rpc.rpc_sync(1, of_main, (nb.ones(1),)).item()) == 1.0
    rpc.shutdown()

if __name__ == "__main__":
    nb.multiprocessing.spawn(work, nprocs=2)
    print("done")
"""


def test_functions_of_main_can_be_called(nothing_left, tmp_path):
    with program(tmp_path, MAIN) as process:
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (0, "done\n", "")


# ---------------------------------------------------------------- remote, statistics, debug info


def remote_of_nothing_callable():
    try:
        rpc.remote(1, 5)
    except TypeError as error:
        return str(error)
    return None


def test_remote_needs_a_function(group2):
    assert "function should be callable" in group2.call(remote_of_nothing_callable)


def count_messages():
    before = rpc.statistics()
    for _ in range(10):
        rpc.rpc_sync(1, identity, (nb.ones(3),))
    after = rpc.statistics()
    return after.messages - before.messages, after.bytes_copied - before.bytes_copied


def test_messages_and_bytes_are_counted(group2):
    group2.call(count_messages)
    assert group2.call(count_messages) == (10, 120)


# ---------------------------------------------------------------- death


def kill_the_peer():
    """Calls under way, and later ones, fail with the name of the dead worker."""
    futures = [rpc.rpc_async(1, time.sleep, (20,)) for _ in range(3)]
    end = rpc.rpc_async(1, os._exit, (3,))
    found = []
    for attempt in (
        *[future.wait for future in futures],
        end.wait,
        lambda: rpc.rpc_sync(1, identity, (1,)),
        rpc.shutdown,
    ):
        start = time.monotonic()
        try:
            attempt()
        except Exception as error:
            found.append(
                (type(error).__name__, "'worker1'" in str(error), time.monotonic() - start < 1)
            )
    return found, state.State.agent is None


def test_calls_to_a_dead_worker_fail_at_once(nothing_left):
    with fresh(2) as group:
        found, has_left = group.call(kill_the_peer)
        assert found == [("WorkerDied", True, True)] * 6
        assert has_left
        group.is_broken = True
