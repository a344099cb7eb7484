"""Events: what a worker did, from when to when.

kind        what happened                                                        name
forward     an operation ran                                                     'mul'
backward    a VJP ran, in a pass of one process or of many                       'MulBackward0'
pass        a whole backward pass, at its caller                                 'backward', 'dist_autograd.backward'
call        a call was encoded and posted                                        'f(worker0 -> worker1)'
rpc         from there until its reply came back                                 same
request     the callee decoded it, ran the function and replied                  same
send        a gradient was posted                                                'gradient(worker1 -> worker0)'
recv        a gradient came                                                      same
user        a `record_function` block                                            as the block says
"""

from dataclasses import dataclass

from nbgrad.rpc.trust import register

OVERLAPPING = ("rpc",)  # goes on while its thread does other things, so it is no part of a stack


@register
@dataclass(frozen=True)
class Event:
    """One thing that a worker did.

    Two events with the same `flow` are the two ends of one message.
    """

    worker: str
    kind: str
    name: str
    start_ns: int  # of the machine's monotonic clock, which all workers share
    end_ns: int
    thread: int
    flow: str = ""

    @property
    def duration_us(self) -> float:
        """How long it took, by the clock on the wall."""
        return (self.end_ns - self.start_ns) / 1e3

    cpu_time_total = duration_us  # PyTorch's name


def self_times(events: list[Event]) -> list[float]:
    """Per event the microseconds that it did not spend in others of its thread inside of it."""
    own = [event.duration_us for event in events]
    order = sorted(
        (k for k, event in enumerate(events) if event.kind not in OVERLAPPING),
        key=lambda k: (events[k].start_ns, -events[k].end_ns),
    )
    stacks: dict = {}
    for k in order:
        event = events[k]
        stack = stacks.setdefault((event.worker, event.thread), [])
        while stack and events[stack[-1]].end_ns < event.end_ns:
            stack.pop()
        if stack:
            own[stack[-1]] -= event.duration_us
        stack.append(k)
    return [max(0.0, time_us) for time_us in own]
