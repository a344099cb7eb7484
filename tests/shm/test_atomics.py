"""Litmus tests between real processes: outcomes that the orderings forbid do not occur."""

import numpy as np

from nbgrad.jit import kernel
from nbgrad.shm.atomics import fetch_add, load, load_acquire, load_relaxed, store, store_release
from nbgrad.shm.segment import Segment
from tests.shm.place import unique

N_ADDS = 200_000
N_ROUNDS = 50_000
X, Y, SEEN, GO = 0, 64, 128, 256


@kernel("nn", nogil=True)
def add_many(word, n):
    for _ in range(n):
        fetch_add(word, 1)


@kernel("nn", nogil=True)
def add_badly(word, n):
    """The control: read, then write."""
    for _ in range(n):
        store(word, load(word) + 1)


@kernel("nn", nogil=True)
def send(base, n):
    """Message passing: data, then flag."""
    for k in range(1, n + 1):
        store(base + X, k)
        store_release(base + Y, k)
        while load_acquire(base + SEEN) != k:
            pass


@kernel("nn=n", nogil=True)
def receive(base, n):
    """How often the flag was seen before its data."""
    wrong = 0
    for k in range(1, n + 1):
        while load_acquire(base + Y) != k:
            pass
        if load_relaxed(base + X) != k:
            wrong += 1
        store_release(base + SEEN, k)
    return wrong


@kernel("nnnn", nogil=True)
def store_then_look(mine, other, answers, n):
    """Store buffering: write my word, read the other's; a gate keeps both in step."""
    for k in range(n):
        gate = mine + GO
        store(gate, k + 1)
        while load(other + GO) < k + 1:
            pass
        store(mine, k + 1)
        store(answers + 8 * k, load(other))


def workers(rank, world):
    segment = Segment.attach(unique("test-litmus"))
    base = segment.address
    try:
        add_many(base + 4096, N_ADDS)
        add_badly(base + 5120, N_ADDS)
        wrong = 0
        if rank == 0:
            send(base, N_ROUNDS)
        else:
            wrong = receive(base, N_ROUNDS)
        answers = np.zeros(N_ROUNDS, np.int64)
        mine, other = base + 8192 + 1024 * rank, base + 8192 + 1024 * (1 - rank)
        store_then_look(mine, other, answers.ctypes.data, N_ROUNDS)
        return wrong, answers
    finally:
        segment.close()


def test_two_processes(on_workers):
    segment = Segment.create(unique("test-litmus"), 1 << 16)
    try:
        segment.commit(0, 1 << 16)
        (_, seen_by_0), (wrong, seen_by_1) = on_workers(workers, world=2, deadline=60)
        total = fetch_total(segment.address + 4096)
        assert total == 2 * N_ADDS  # no add is lost
        print(
            f"control: {2 * N_ADDS - fetch_total(segment.address + 5120):,} of {2 * N_ADDS:,} adds lost"
        )
        assert wrong == 0  # no flag before its data
        rounds = np.arange(1, N_ROUNDS + 1)
        both_missed = (seen_by_0 < rounds) & (seen_by_1 < rounds)
        assert (
            not both_missed.any()
        )  # sequentially consistent stores: one of the two sees the other
    finally:
        segment.close()


@kernel("n=n")
def fetch_total(word):
    return load(word)
