"""How long do the stages of a pipeline idle, beyond what no schedule can avoid, and how much do activations take?

Two workers, one stage each of the same cost (four layers of width 512, batches of 8 x 64 rows), 1F1B and GPipe in turn:
50 steps each, in blocks of 10.  The first stage makes no gradient of its input; a wider first layer makes up for it.
"alone" is what forward and backward of a micro-batch cost each stage when nobody waits for anybody.  Bubble: the part of both
stages' time that they did not compute, median of the steps; to be at most 5 percentage points above (p - 1) / (m + p - 1).

python perf/pipeline.py [--quick]
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import nbgrad as nb
from nbgrad import multiprocessing, nn, parallel, rpc

P, M, WIDTH, ROWS = 2, 8, 512, 64
LAYERS = 4
# A layer is one product forward and two backward; without the gradient of the input the first one is 3/2 as wide for the same.
FIRST_WIDTH = WIDTH * 3 // 2
ALONE = 40  # micro-batches
BLOCK = 10
ALLOWED = 0.05


def stage_of(rank):
    nb.manual_seed(rank)
    widths = [WIDTH if rank else FIRST_WIDTH] + [WIDTH] * LAYERS
    layers = [part for n, m in itertools.pairwise(widths) for part in (nn.Linear(n, m), nn.Tanh())]
    return nn.Sequential(*layers)


def cost_alone(rank, x, y):
    """ms of a micro-batch, forward and backward, as a stage sees it; median."""
    stage, taken = stage_of(rank), []
    x, y = x[:ROWS], y[:ROWS]
    inner = nb.randn(ROWS, WIDTH)
    for _ in range(ALONE):
        begin = time.perf_counter_ns()
        if rank == 0:
            stage(x).backward(inner)
        else:
            (nn.functional.mse_loss(stage(inner.detach().requires_grad_()), y) / M).backward()
        taken.append(time.perf_counter_ns() - begin)
    return statistics.median(taken) / 1e6


def work(rank, n_blocks, file):
    rpc.init_rpc(f"worker{rank}")
    x, y = nb.randn(M * ROWS, FIRST_WIDTH), nb.randn(M * ROWS, WIDTH)
    alone = cost_alone(rank, x, y)
    lines = {
        name: parallel.Pipeline(stage_of(rank), M, nn.functional.mse_loss, name)
        for name in ("1f1b", "gpipe")
    }
    for block in range(n_blocks + 1):
        for line in lines.values():
            if block == 1:
                line.figures.busy_ns.clear()
                line.figures.began_ns.clear()
                line.figures.ended_ns.clear()
            for _ in range(BLOCK if block else 2):
                line.step(x, y)
                for p in line.stage.parameters():
                    p.grad = None
    Path(f"{file}{rank}").write_text(json.dumps(alone))
    if rank == 0:
        found = {name: vars(line.statistics()) for name, line in lines.items()}
        Path(file).write_text(json.dumps(found))
    rpc.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    n_blocks = 1 if parser.parse_args().quick else 5
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "figures")
        multiprocessing.spawn(work, (n_blocks, file), nprocs=P)
        found = json.loads(Path(file).read_text())
        alone = [json.loads(Path(f"{file}{rank}").read_text()) for rank in range(P)]
    load = os.getloadavg()[0]
    print(
        f"# perf/pipeline.py  load {load:.1f}  {os.cpu_count()} cores  {P} stages x {M} micro-batches"
    )
    print(
        f"# {'schedule':<10}{'steps':>6}{'bubble %':>10}{'formula %':>11}{'busy ms':>16}{'held':>10}{'bytes':>22}"
    )
    print(f"  {'alone':<10}{ALONE:>6}{'-':>10}{'-':>11}{' '.join(f'{ms:.2f}' for ms in alone):>16}")
    for name, line in found.items():
        busy = " ".join(f"{ms:.1f}" for ms in line["busy_ms"])
        held = " ".join(map(str, line["peak_held"]))
        sizes = " ".join(map(str, line["peak_bytes"]))
        bubble, ideal = 100 * line["bubble"], 100 * line["ideal_bubble"]
        print(
            f"  {name:<10}{line['n_steps']:>6}{bubble:>10.1f}{ideal:>11.1f}{busy:>16}{held:>10}{sizes:>22}"
        )
    one = found["1f1b"]
    within = one["bubble"] <= one["ideal_bubble"] + ALLOWED
    less = one["peak_bytes"][0] < found["gpipe"]["peak_bytes"][0]
    print(f"1F1B within {100 * ALLOWED:.0f} points of the formula: {'yes' if within else 'NO'}")
    print(f"activations below GPipe's: {'yes' if less else 'NO'}")


if __name__ == "__main__":
    main()
