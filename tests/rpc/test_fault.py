"""Faults: a worker that finds shared memory written over says so, and the others learn that it is gone."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import ProtocolError, WorkerDied
from nbgrad.rpc import fault, message, state
from nbgrad.shm import arena, bell, record, ring, words
from nbgrad.shm.binding import block_of
from nbgrad.shm.layout import Layout
from tests.groups import fresh

NAMES = ["worker0", "worker1"]


@pytest.mark.parametrize("what", fault.WHAT)
def test_every_fault_of_a_message_has_its_text(what):
    error = fault.of_message((1, record.BROKEN, what, 2, 7, 9, 4096, 184, 0, (), None), NAMES, 0)
    text = str(error)
    assert "from worker 'worker1' to worker 'worker0'" in text
    assert "message of 184 bytes at 4096" in text
    assert "{" not in text
    if what == record.STALE:
        assert "array 2 names generation 7 of its block, which is at 9" in text


def test_a_block_is_named_by_its_arena():
    layout = Layout(2, 4096, 1 << 20)
    told = record.GIVEN_BACK, layout.arena(1) + 4096, 3, 4, 1
    text = str(fault.of_block(told, layout, NAMES))
    assert "block at 4096 of the arena of worker 'worker1' gave it back" in text
    assert "generation 3, the block is at generation 4 with 1 holders" in text


def write_garbage(target, kind):
    """A message that no worker writes, into this worker's ring to `target`."""
    agent = state.agent()
    base, layout = agent.session.base, agent.session.layout
    outgoing = base + layout.ring(agent.rank, target)
    at = ring.claim(outgoing, record.LEAST_BYTES - 8)
    for k in range(record.LEAST_BYTES // 8 - 1):
        words.store(at + 8 * k, 0)
    words.store(at, kind)
    words.store(at + 8 * (2 + record.N_HEADER), 0 if kind != record.BROKEN else 5)
    ring.publish(outgoing, at)
    bell.knock(base + layout.worker(target), 1 << agent.rank)


def call_and_meet(function, *args):
    """What this worker and worker 2, which waits for it in a barrier, get to hear; and what the next call gets."""
    waiting = rpc.rpc_async(2, wait_for_ever, timeout=0)
    errors = []
    for to in (1, 2):
        try:
            rpc.rpc_sync(to, function, args)
        except Exception as error:
            errors.append((type(error), str(error)))
    return waiting.done(), errors


def wait_for_ever():
    rpc.rpc_sync(0, rpc.Future().wait, timeout=0)


@pytest.mark.parametrize("kind", [record.BROKEN, 99])
def test_garbage_in_a_ring_is_told_by_all_that_waits(kind, nothing_left):
    with fresh(3) as group:
        was_done, errors = group.call(call_and_meet, write_garbage, 0, kind)
        assert was_done
        assert [error for error, _ in errors] == [ProtocolError] * 2
        says = "from worker 'worker1'" if kind == record.BROKEN else "message of kind 99"
        assert says in errors[0][1]
        assert errors[0] == errors[1]
        group.pipe.send(None)
        with pytest.raises(nb.errors.ProcessRaisedException, match="ProtocolError"):
            group.context.join(timeout=10)  # worker 0's own, from shutdown
        group.is_broken = True


def post_header(kind, h0, h1, h2):
    """A well-formed message to worker 0 that says what it can't mean."""
    state.agent().post(0, 0, kind, h0, h1, h2, 0, 0, 0, (), None)


def call_for_header(*header):
    rpc.rpc_sync(1, post_header, header)
    return rpc.rpc_sync(1, abs, (-1,), timeout=5)


NO_PASS, NO_CONTEXT = 1 << 48 | 7 << 16 | 3, 0x7777
MEANINGLESS = {
    "pieces that never came": ((message.CALL | 9 << 8, 1, -1, 0), "transfer 9.* none of its"),
    "a gradient of no pass": ((message.GRAD, NO_PASS, 1 << 48, 1), f"pass {NO_PASS}, and row 3"),
}


@pytest.mark.parametrize("case", MEANINGLESS)
def test_a_message_that_can_not_be_meant_is_refused_with_its_values(case, nothing_left):
    header, told = MEANINGLESS[case]
    with fresh(2) as group:
        with pytest.raises(ProtocolError, match=told):
            group.call(call_for_header, *header)
        group.is_broken = True


def refusals(headers):
    """What the handlers say to messages of worker 1."""
    agent, texts = state.agent(), []
    for kind, *header in headers:
        with pytest.raises(ProtocolError) as caught:
            agent.handlers[kind]((1, kind, *header, 0, 0, 0, (), None))
        texts.append(str(caught.value))
    agent.transfers.pieces.clear()
    return texts


REFUSED = {
    (message.CHUNK, 4, 2, 5): "transfer 4 in pieces, and piece 2 of 5 has come",
    (
        message.GRAD,
        -5,
        NO_CONTEXT,
        1,
    ): "worker 1 has sent a message (kind 16) of the backward pass -5, and there is no row",
    (message.GRAD, 0xFFFF, NO_CONTEXT, 1): "pass 65535, and there is no row 65535 of worker 0",
    (
        message.LETTER,
        NO_PASS,
        NO_CONTEXT,
        1,
    ): f"pass {NO_PASS}, and row 3 of worker 1 belongs to pass",
    (
        message.REPORT,
        NO_PASS,
        NO_CONTEXT,
        1,
    ): f"pass {NO_PASS}, and row 3 of worker 1 belongs to pass",
    (message.DROP_PASS, 29 << 48, -1, 0): "there is no row 0 of worker 29",
    (message.GRAD, NO_PASS, 30 << 48, 1): "there is no worker 30 in this group of 2",
}


def test_every_handler_refuses_what_can_not_be_meant(group2):
    texts = group2.call(refusals, list(REFUSED))
    for text, told in zip(texts, REFUSED.values(), strict=True):
        assert told in text


def lose_a_holder():
    """A holder of a block is given back twice."""
    x = state.agent().binding.empty((600,), np.dtype("f8"))
    arena.release(block_of(x), arena.generation(block_of(x)))


def test_a_lost_holder_is_told_at_the_next_call(nothing_left):
    with fresh(2) as group:
        with pytest.raises(ProtocolError, match="arena of worker 'worker0' gave it back"):
            group.call(lose_and_call)
        group.is_broken = True


def lose_and_call():
    lose_a_holder()
    rpc.rpc_sync(1, abs, (-1,))


def test_a_lost_holder_of_an_idle_worker_is_told_to_the_others(nothing_left):
    with fresh(2) as group:
        with pytest.raises(WorkerDied, match="worker1"):
            group.call(lose_there)
        group.is_broken = True


def lose_there():
    rpc.rpc_sync(1, lose_a_holder)
    rpc.rpc_sync(1, rpc.Future().wait, timeout=0)
