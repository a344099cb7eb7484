"""What does it cost to make a message of a call, to put it into a ring, and to take it out?

    encode a call    function, arguments -> function id, arrays, bytes       no message is posted
    post, take       arrays -> ring -> arrays                                one process plays both workers
    decode a call    bytes, arrays -> arguments

Nothing else of a call is in these figures: no other process, no waiting, no user function.  A figure that a side lacks
(its parts have other names there) is skipped.
"""

import functools
import importlib
import time

import common
from sides import per_block

SMALL, LARGE = 1, 1000  # elements; 4 kB is the most that travels inline
BURST = 10  # messages that fit into the ring together
HEADER = (0, 0, 0, 0, 0, 0)


def add(x, y, scale=1.0):
    return (x + y) * scale


def part(name):
    return importlib.import_module(f"nbgrad.{name}")


class Desk:
    """Both ends of a ring in one process, and what an agent gives to the encoder of calls."""

    world, rank = 2, 0

    def __init__(self):
        shm, control = part("shm.layout"), part("group.control")
        self.layout = shm.Layout(self.world)
        self.segment = part("shm.segment").Segment.inherited(self.layout.size_bytes)
        control.commit(self.segment, self.layout)
        control.initialise(self.segment, self.layout, 0)
        self.sender, self.receiver = (
            part("shm.binding").Binding(self.segment, self.layout, rank)
            for rank in range(self.world)
        )
        self.futures = {}
        self.joint = part("dist_autograd.joint").Joint(self, None)
        self.calls = part("rpc.calls").Calls(self)

    def on(self, kind, handler):
        """An agent would call `handler` for messages of this kind."""

    def new_call(self, future):
        return 1

    def post(self, *message):
        """The message is made; it goes nowhere."""


desk = functools.cache(Desk)


def wire(size, n_arrays):
    def setup(lib):
        both = desk()
        arrays = tuple(common.np.ones(size, common.np.float32) for _ in range(n_arrays))
        post, take = both.sender.post, both.receiver.take
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
    """`make(lib)` gives args, kwargs."""

    def setup(lib):
        send = desk().calls.send
        args, kwargs = make(lib)
        send(1, add, args, kwargs, 0)
        return lambda count: per_block(count, lambda: send(1, add, args, kwargs, 0))

    return setup


def decode_call(lib):
    codec = part("rpc.codec")
    desk()  # tells the codec what a tensor is
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
    return common.Figure(name, setup, count=100, rounds=200, quick=80, warm=5, renew=True)


FIGURES = [
    figure("2 arrays of 4 B", wire(SMALL, 2)),
    figure("1 array of 4 kB", wire(LARGE, 1)),
    figure("encode a call of tensors", encode_call(two_tensors)),
    figure("encode a call, pickled", encode_call(mixed)),
    figure("decode a call, pickled", decode_call),
]

if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, common.simple_side(FIGURES), against="none")
