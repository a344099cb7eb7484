"""What does it cost to make a message of a call, to put it into a ring, and to take it out?

    encode a call    function, arguments -> function id, arrays, bytes       the message is not posted
    post, take       arrays -> ring -> arrays                                one process plays both workers
    decode a call    bytes, arrays -> arguments

Nothing else of a call is in these figures: no other process, no waiting, no user function.  A figure that a side lacks
(its parts have other names there) is skipped.
"""

import functools
import importlib
import time

import common
import numpy as np
from groups import group_side
from sides import per_block

SMALL, LARGE = 1, 1000  # elements; 4 kB is the most that travels inline
BURST = 10  # messages that fit into the ring together
HEADER = (0, 0, 0, 0, 0, 0)


def add(x, y, scale=1.0):
    return (x + y) * scale


def part(name):
    return importlib.import_module(f"nbgrad.{name}")


@functools.cache
def both_ends():
    """Native calls of two workers of a segment of our own, all in this process."""
    layout = part("shm.layout").Layout(2)
    segment = part("shm.segment").Segment.inherited(layout.size_bytes)
    part("group.control").commit(segment, layout)
    part("group.control").initialise(segment, layout, 0)
    return [part("shm.binding").Binding(segment, layout, rank) for rank in range(2)]


def wire(size, n_arrays):
    def setup(lib):
        sender, receiver = both_ends()
        arrays = tuple(np.ones(size, np.float32) for _ in range(n_arrays))
        post, take = sender.post, receiver.take
        kind = part("rpc.message").CALL
        if post(1, 0, kind, *HEADER, arrays, None) != part("shm.wire").SENT:
            raise AssertionError("the message was not posted")
        message = take(0)
        if any(
            sent.tolist() != got.tolist() for sent, got in zip(arrays, message[-2], strict=True)
        ):
            raise AssertionError(f"other arrays came out: {message}")

        def block(count):
            bursts = []
            for _ in range(0, count, BURST):
                start = time.perf_counter_ns()
                for _ in range(BURST):
                    post(1, 0, kind, *HEADER, arrays, None)
                middle = time.perf_counter_ns()
                for _ in range(BURST):
                    take(0)
                bursts.append((middle - start, time.perf_counter_ns() - middle))
            return {"post": [t / BURST for t, _ in bursts], "take": [t / BURST for _, t in bursts]}

        return block

    return setup


def encode_call(make):
    """`make(lib)` gives args, kwargs.  The agent is worker0's real one; only its `post` does nothing meanwhile."""

    def setup(lib):
        args, kwargs = make(lib)
        lib.rpc.rpc_sync("worker1", add, args, kwargs)  # tells worker1 the function's number
        agent = part("rpc.state").agent()
        send = agent.calls.send
        sent = agent.calls.pressure.sent if hasattr(agent.calls, "pressure") else [0, 0]

        def block(count):
            before, agent.post = sent[1], nowhere
            try:
                return per_block(count, lambda: send(1, add, args, kwargs, 0))
            finally:
                del agent.post
                agent.futures.clear()  # of calls that will get no answer
                sent[1] = before  # nor be begun

        return block

    return setup


def nowhere(*message):
    """The message is made, and that is all."""


def decode_call(lib):
    codec = part("rpc.codec")
    data, tensors, arrays = codec.encode(mixed(lib), "a call")
    decode = codec.decode
    if decode(data, tensors, arrays)[1] != {"scale": 2.0}:
        raise AssertionError("other arguments came out")
    return lambda count: per_block(count, lambda: decode(data, tensors, arrays))


def two_tensors(lib):
    return (lib.ones(SMALL), lib.ones(SMALL)), None


def mixed(lib):
    return (lib.ones(SMALL), 1.5), {"scale": 2.0}


def figure(name, setup):
    return common.Figure(name, setup, count=30, rounds=200, quick=80, warm=5, renew=5)


FIGURES = [
    figure("2 arrays of 4 B", wire(SMALL, 2)),
    figure("1 array of 4 kB", wire(LARGE, 1)),
    figure("encode a call of tensors", encode_call(two_tensors)),
    figure("encode a call, pickled", encode_call(mixed)),
    figure("decode a call, pickled", decode_call),
]

if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, group_side("encode"), is_group=True, against="none")
