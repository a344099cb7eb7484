"""ProcessContext: the launcher's handle on its workers, and how nothing is left of them."""

import os
import signal
import time
from multiprocessing import get_context

import pytest

from nbgrad.errors import ProcessExitedException, StartupError
from nbgrad.group import launch, processes, spawn
from tests.group.programs import children, interrupt, pids_of, program, wait_gone
from tests.signals import signals_to


def wait_for_ever(index):
    signal.pause()


def refuse_to_end(index, ready):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    ready.send(index)
    while True:
        signal.pause()


def answer(index, queue, pipe, lock):
    with lock:
        queue.put((index, pipe.recv()))


def tell(index, queue):
    queue.put("x" * 100_000)  # a feeder thread has to write it before the worker may end


def echo_and_wait(index, pipe):
    pipe.send(index)
    pipe.recv()


def test_a_context_joins_later(nothing_left):
    ours, theirs = get_context("spawn").Pipe()
    group = spawn(echo_and_wait, (theirs,), nprocs=1, join=False)
    theirs.close()
    assert group.join(timeout=0) is False
    assert ours.recv() == 0
    (process,) = group.processes
    assert group.pids() == [process.pid]
    assert process.is_alive()
    assert process.exitcode is None
    assert "running" in repr(process)
    ours.send("end")
    process.join()
    assert process.exitcode == 0
    assert group.join() is True
    assert group.join() is True
    ours.close()


def test_queues_pipes_and_locks_travel(nothing_left):
    context = get_context("spawn")
    queue, (ours, theirs) = context.SimpleQueue(), context.Pipe()
    group = spawn(answer, (queue, theirs, context.Lock()), nprocs=2, join=False)
    theirs.close()
    for word in ("a", "b"):
        ours.send(word)
    assert group.join()
    found = [queue.get(), queue.get()]
    assert sorted(index for index, _ in found) == [0, 1]
    assert sorted(word for _, word in found) == ["a", "b"]
    with pytest.raises(EOFError):  # nobody holds the other end any more
        ours.recv()
    ours.close()
    queue.close()


def test_what_a_worker_puts_into_a_queue_arrives(nothing_left):
    queue = get_context("spawn").Queue()
    group = spawn(tell, (queue,), join=False)
    assert len(queue.get()) == 100_000
    group.join()
    queue.close()
    queue.join_thread()


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_one_worker_can_be_ended(nothing_left, how):
    group = spawn(wait_for_ever, nprocs=2, join=False)
    getattr(group.processes[1], how)()
    with pytest.raises(ProcessExitedException, match="process 1 terminated with signal"):
        group.join()
    assert wait_gone(group.pids(), 0) == []


def test_stop_ends_all_even_those_that_refuse(nothing_left):
    ours, theirs = get_context("spawn").Pipe()
    group = spawn(refuse_to_end, (theirs,), nprocs=2, join=False)
    assert {ours.recv(), ours.recv()} == {0, 1}
    start = time.monotonic()
    group.stop(interrupt=True)
    assert time.monotonic() - start < 1.5  # the bar is 1 s; this machine may be busy
    assert wait_gone(group.pids(), 0) == []
    assert group.join() is True  # stopped at the launcher's wish: no failure
    ours.close()
    theirs.close()


def test_a_supervisor_that_can_not_start_is_an_error(nothing_left, monkeypatch, capfd):
    monkeypatch.setattr(launch, "PROGRAM", "raise SystemExit(7)")
    with pytest.raises(StartupError, match=r"supervisor.*exit code 7"):
        spawn(wait_for_ever)


# (signal.pause() would sleep for ever where the signal comes just before it.)
LAUNCHER = """
import os, sys, time
import nbgrad.multiprocessing as mp

def work(index, pipe):
    try:
        pipe.send(os.getpid())
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        pipe.send("interrupted")
        raise

if __name__ == "__main__":
    ours, theirs = mp.get_context("spawn").Pipe()
    group = mp.spawn(work, (theirs,), nprocs=2, join=False)
    try:
        print(ours.recv(), ours.recv(), flush=True)
        group.join()
    except KeyboardInterrupt:
        group.stop(interrupt=True)
        print(ours.recv(), ours.recv(), ours.poll(0), flush=True)
        raise
"""


def test_ctrl_c_ends_everything_within_a_second(nothing_left, tmp_path):
    with program(tmp_path, LAUNCHER) as launcher:
        workers = pids_of(launcher.stdout.readline())
        below = children(launcher.pid)
        assert set(workers) < set(below)
        start = time.monotonic()
        interrupt(launcher.pid)
        # Each worker has got one KeyboardInterrupt, which the supervisor passed on.
        assert launcher.stdout.readline() == "interrupted interrupted False\n"
        assert launcher.wait(10) == -signal.SIGINT
        assert time.monotonic() - start < 1.5  # the bar is 1 s; this machine may be busy
        assert wait_gone(below, 0) == []
        errors = launcher.stderr.read()
        assert "KeyboardInterrupt" in errors
        assert "Process" not in errors  # the workers say nothing


def test_ctrl_c_of_a_terminal_reaches_each_worker_once(nothing_left, tmp_path):
    with program(tmp_path, LAUNCHER) as launcher:
        workers = pids_of(launcher.stdout.readline())
        os.killpg(launcher.pid, signal.SIGINT)
        assert launcher.stdout.readline() == "interrupted interrupted False\n"
        assert launcher.wait(10) == -signal.SIGINT
        assert wait_gone(workers, 0) == []


def test_killing_the_launcher_ends_everything(nothing_left, tmp_path):
    with program(tmp_path, LAUNCHER) as launcher:
        launcher.stdout.readline()
        below = children(launcher.pid)
        launcher.kill()
        assert wait_gone(below, 1.0) == []


def test_killing_the_supervisor_ends_the_workers(nothing_left, tmp_path):
    with program(tmp_path, LAUNCHER) as launcher:
        workers = pids_of(launcher.stdout.readline())
        (supervisor,) = set(children(launcher.pid)) - set(workers)
        with signals_to(supervisor) as send:
            send(signal.SIGKILL)
        assert launcher.wait(10) == 1
        assert wait_gone(workers, 1.0) == []
        assert "the supervisor of the group" in launcher.stderr.read()


ABANDONED = """
import signal, sys
import nbgrad.multiprocessing as mp

def work(index):
    signal.pause()

if __name__ == "__main__":
    group = mp.spawn(work, nprocs=2, join=False, daemon=sys.argv[1] == "daemon")
    print(*group.pids(), flush=True)
    if sys.argv[1] == "error":
        raise ValueError("of the launcher")
"""


@pytest.mark.parametrize(("how", "code"), [("daemon", 0), ("error", 1)])
def test_workers_that_nobody_joins_end_with_the_launcher(nothing_left, tmp_path, how, code):
    with program(tmp_path, ABANDONED, how) as launcher:
        workers = pids_of(launcher.stdout.readline())
        assert launcher.wait(10) == code
        assert wait_gone(workers, 0) == []


@pytest.fixture(scope="module", autouse=True)
def open_before():
    """Contexts that other files keep open, to reuse their groups."""
    return set(processes.open_contexts)


def test_no_context_is_left_open(open_before):
    assert processes.open_contexts <= open_before
