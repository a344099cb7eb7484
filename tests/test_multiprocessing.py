"""nbgrad.multiprocessing has multiprocessing's names, and spawn."""

import multiprocessing

import pytest

import nbgrad.multiprocessing as mp


def test_names_are_those_of_multiprocessing():
    assert set(multiprocessing.__all__) <= set(mp.__all__)
    assert mp.Queue == multiprocessing.Queue
    assert mp.get_context("spawn") is multiprocessing.get_context("spawn")


def square(index, queue):
    queue.put(index**2)


def test_a_ported_program_runs(nothing_left):
    queue = mp.get_context("spawn").SimpleQueue()
    context = mp.spawn(square, args=(queue,), nprocs=2, join=False)
    assert isinstance(context, mp.SpawnContext)
    while not context.join():
        pass
    assert {queue.get(), queue.get()} == {0, 1}
    queue.close()


def fail(index):
    raise ValueError("no")


def test_failures_have_the_names_of_pytorch(nothing_left):
    with pytest.raises(mp.ProcessRaisedException, match="-- Process 0 terminated"):
        mp.spawn(fail)
    assert issubclass(mp.ProcessExitedException, mp.ProcessException)


def test_strategies_are_accepted():
    mp.set_sharing_strategy("file_system")
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    with pytest.raises(ValueError, match="none of"):
        mp.set_sharing_strategy("by mail")
    assert mp.start_processes is mp.spawn
