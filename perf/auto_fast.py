"""What does mode "auto" cost where FAST's assumption holds, and what does resolving one unused call cost?

    worker0                                     worker1                       worker2
    h = rpc_sync(add, (h, y))  n times     ->   add(h, y)
    rpc_sync(mul, (x, y))      unused      ->   mul(x, y), here or there  ->  mul(x, y)
    backward(loss, mode="auto" or "fast")

Rows "auto": the same passes in both modes, in turn; "other" is fast, ratio = time of fast / time of auto.  Bar: 0.98.
Rows "unused": passes in mode "auto"; "other" is without the unused call.  Below: the difference in hops (the backward of
one call, in the passes without it), and in messages, which the workers count.  Bars: 1.5 hops, 3 messages.
Gradients are checked in every pass.  With `--against torch` and a revision only mode "auto" is compared.
"""

import time

import common
import numpy as np
from groups import group_side
from sides import Absent
from stats import compare, interval, summary

HOPS = 16


def add(x, y):
    return x + y


def mul(x, y):
    return x * y


def chain(n, mode, unused=None):
    """Setup of a figure: passes over chains of `n` calls; the worker `unused` is called once more, in vain."""

    def setup(lib):
        if lib.framework == "torch" and unused:
            raise Absent("FAST mode hangs where a result is unused")
        more = {"mode": mode} if lib.framework == "nbgrad" else {}
        x, y = lib.tensor([1.0], requires_grad=True), lib.tensor([1.0], requires_grad=True)
        rpc_sync, dist_autograd = lib.rpc.rpc_sync, lib.dist_autograd
        clock = time.perf_counter_ns

        def block(count):
            times = []
            for _ in range(count):
                with dist_autograd.context() as context_id:
                    if unused:
                        rpc_sync(unused, mul, args=(x, y))
                    h = x
                    for _ in range(n):
                        h = rpc_sync("worker1", add, args=(h, y))
                    loss = h.sum()
                    start = clock()
                    dist_autograd.backward(context_id, [loss], **more)
                    times.append(clock() - start)
                    gradients = dist_autograd.get_gradients(context_id)
                    found = gradients[x].item(), gradients[y].item()
                    if found != (1.0, n):
                        raise AssertionError(f"gradients of x and y: {found}, expected {(1.0, n)}")
                    n_messages = messages(lib, context_id)
            return {"backward": times, "messages": [n_messages]}

        return block

    return setup


def messages(lib, context_id):
    """Messages of the one pass of a context, counted by all of its workers; 0 on torch, which does not tell."""
    if lib.framework == "torch":
        return 0
    (workers,) = lib.dist_autograd.pass_statistics(context_id)
    return sum(worker.messages for worker in workers.values())


def figure(name, *args, **options):
    return common.Figure(name, chain(*args), **options)


MODES = [  # (name, hops, count, rounds, quick)
    ("1 hop", 1, 20, 300, 5),
    ("16 hops", 16, 10, 200, 5),
    ("64 hops", 64, 4, 100, 4),
]
UNUSED = [("the same worker", "worker1"), ("another worker", "worker2")]
PAIRS, FIGURES = [], []  # (ours, other) of FIGURES
for name, hops, count, rounds, quick in MODES:
    options = {"count": count, "rounds": rounds, "quick": quick, "warm": 2}
    PAIRS.append((len(FIGURES), len(FIGURES) + 1))
    FIGURES.append(figure(f"auto, {name}", hops, "auto", **options))
    FIGURES.append(figure(f"fast, {name}", hops, "fast", **options))
WITHOUT = FIGURES.index(next(f for f in FIGURES if f.name == f"auto, {HOPS} hops"))
for where, worker in UNUSED:
    PAIRS.append((len(FIGURES), WITHOUT))
    name = f"unused call to {where}, {HOPS} hops"
    # Short blocks, many of them: a difference of one hop in 16 is less than what a machine with other work does to a long one.
    FIGURES.append(figure(name, HOPS, "auto", worker, count=3, rounds=500, quick=5, warm=2))


class Turn:
    """One figure of a side, as if it were a side."""

    def __init__(self, side, number):
        self.side, self.number = side, number

    def block(self, _, count):
        return self.side.block(self.number, count)


def compare_modes(table, side, quick):
    """Measure the pairs in turn, within one group."""
    for ours, other in PAIRS:
        ours_, other_ = FIGURES[ours], FIGURES[other]
        turns = [Turn(side, ours), Turn(side, ours), Turn(side, other)]
        for turn in turns[1:]:
            turn.block(None, ours_.count)
        n_rounds = ours_.quick if quick else ours_.rounds
        values, samples = common.rounds_of(turns, ours_, None, ours_.count, n_rounds)
        v, times = values["backward"], samples["backward"]
        table.against = "fast" if other_.name.startswith("fast") else "all used"
        against_it = compare(v[:, 0], v[:, 2], v[:, 1])
        mine, its = summary(times[0] + times[1]), summary(times[2])
        more = {}
        if table.against != "fast":
            hops = (v[:, :2].mean(1) - v[:, 2]) / (v[:, 2] / HOPS)
            n_more = np.median(values["messages"][:, 0] - values["messages"][:, 2])
            more = {"hops": float(np.median(hops)), "hops_interval": interval(hops)}
            more["messages"] = float(n_more)
        table.row(ours_.name, "us", mine, its, against_it, against_it.again, more=more)
        if more:
            low, high = more["hops_interval"]
            print(
                f"#   adds {n_more:.0f} messages and {more['hops']:.2f} hops ({low:.2f} - {high:.2f})"
            )


def main():
    side = group_side("auto_fast", world=3)
    options = common.flags(__doc__, "fast").parse_args()
    if options.side or options.against != "fast":
        common.main(__file__, __doc__, FIGURES, side, is_group=True, against="fast")
    with common.workshop(__file__) as (stack, folder):
        table = common.Table("auto_fast.py", "other", options.json)
        table.meaning = "# ratio = time of the other / time of this one; A/A = the same twice, in the same rounds"
        places, _ = common.both_places("none", stack, folder)
        (group,), versions = common.started(stack, places, __file__, folder, is_group=True)
        table.versions |= versions
        compare_modes(table, group, options.quick)


if __name__ == "__main__":
    main()
