"""Does a group stay as it was over a million small calls: memory, descriptors, threads, tables, speed?

    old group      calls ............................................ last tenth
    fresh group                                                       the same calls, block by block in turn
    every 1 %      resident memory, descriptors and threads of launcher, supervisor and both workers;
                   bytes of the arenas, RRefs, calls under way, of both workers

Of 20 calls 10 are rpc_sync of a function on a 1-element tensor (only these are timed), 6 are in flight together, one makes
an RRef and one fetches its value, one has arguments that must be pickled, one carries 64 KiB through the arena.

Flat: growth after the first tenth is under 1 MiB of memory and 0 of what is counted, and the interval of the slope of memory
holds 0.  The exit code is 1 if something is not (the slope counts from 100,000 calls on: before, caches still fill).
"""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import common
import numpy as np
from groups import group_side
from sides import per_item
from stats import compare, slope, summary

UNIT, BLOCK = 20, 500  # calls of one mix; calls of one block
PROBES = 100  # over the whole run; the first tenth of them is the warm-up
LONG = 100_000  # calls from which on slopes count
GROWTH_MIB = 1.0
MEDIAN_RATIO, P99_RATIO = 1.05, 1.5
PAYLOAD = 1 << 14  # float32 values: 64 KiB
MIB = 1 << 20
planted: list = []  # what `--plant leak` keeps


def add(x, y):
    return x + y


def described(name, numbers, scale=1.0):
    return {"name": name, "sum": sum(numbers) * scale}


def total(x):
    return x.sum()


def leak():
    planted.append(bytearray(1 << 14))


def mix(lib, plant):
    """Setup: blocks of mixed calls."""
    x, y = lib.tensor([1.0]), lib.tensor([2.0])
    big = lib.ones(PAYLOAD)
    rpc = lib.rpc
    rpc_sync, rpc_async, remote = rpc.rpc_sync, rpc.rpc_async, rpc.remote

    def block(count):
        samples = []
        for k in range(count // UNIT):
            samples += per_item(10, lambda: rpc_sync("worker1", add, args=(x, y)))
            for future in [rpc_async("worker1", add, args=(x, y)) for _ in range(6)]:
                future.wait()
            found = [
                remote("worker1", add, args=(x, 4.0)).to_here().item(),
                rpc_sync("worker1", described, args=("a", [k, 1]), kwargs={"scale": 2.0})["sum"],
                rpc_sync("worker1", total, args=(big * 2.0,)).item(),
            ]
            if found != [5.0, 2.0 * (k + 1), 2.0 * PAYLOAD]:
                raise AssertionError(f"wrong answers: {found}")
            if plant == "leak":
                rpc_sync("worker1", leak)
        return samples

    return block


def tables():
    """What this worker's tables hold."""
    import nbgrad  # only this side has them

    memory, figures = nbgrad.memory_summary(), nbgrad.rpc.statistics()
    return {
        "arena, bytes in use": memory.used_bytes,
        "arena, bytes committed": memory.committed_bytes,
        "RRefs owned": figures.rrefs_owned,
        "RRefs held": figures.rrefs_held,
        "calls under way": sum(peer.in_flight for peer in figures.peers),
        "serving threads": figures.threads,
    }


def look(lib):
    """Setup: a block is one look at the tables of both workers."""

    def block(count):
        found = {}
        for k, here in enumerate((tables(), lib.rpc.rpc_sync("worker1", tables))):
            found |= {f"worker{k} {name}": [value] for name, value in here.items()}
        return found

    return block


def figures(plant):
    return [
        common.Figure("rpc_sync", lambda lib: mix(lib, plant), warm=UNIT, count=BLOCK),
        common.Figure("tables", look, warm=0, count=1),
    ]


FIGURES, LEAKING = figures(None), figures("leak")
MIX, TABLES = range(2)


def from_outside(pids):
    """Resident bytes, descriptors and threads of each process of a group."""
    names = ["launcher", "supervisor", *[f"worker{k}" for k in range(len(pids) - 2)]]
    found = {}
    for name, pid in zip(names, pids, strict=True):
        with suppress(FileNotFoundError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found[f"{name} memory"] = pages * os.sysconf("SC_PAGE_SIZE")
            found[f"{name} descriptors"] = len(os.listdir(f"/proc/{pid}/fd"))
            found[f"{name} threads"] = len(os.listdir(f"/proc/{pid}/task"))
    return found


def probe(side):
    tables = {name: value for name, (value,) in side.block(TABLES, 1).items()}
    return from_outside(side.pids) | tables


@dataclass(frozen=True)
class Series:
    """One quantity over the run, from the end of the first tenth on."""

    name: str
    values: np.ndarray

    @property
    def is_memory(self):
        return self.name.endswith("memory")

    @property
    def growth(self):
        return float(self.values[-1] - self.values[0])

    def is_flat(self, with_slope):
        """Memory may grow by less than 1 MiB, without a slope; what is counted may not grow."""
        if not self.is_memory:
            return self.growth <= 0
        return self.growth < GROWTH_MIB * MIB and (not with_slope or slope(self.values).is_flat)

    def row(self, with_slope):
        scale = MIB if self.is_memory else 1
        line = f"{self.name + (' MiB' if scale > 1 else ''):46s}"
        line += f"{self.values[0] / scale:13.6g}{self.values[-1] / scale:13.6g}"
        line += f"{self.growth / scale:13.4g}"
        s = slope(self.values / scale)
        line += f"{f'{s.mean:.2g} [{s.low:.2g}, {s.high:.2g}]':>34s}"
        return line + ("" if self.is_flat(with_slope) else "   NOT FLAT")


def soak(table, old, start_fresh, n_calls):
    """Run everything; whether all is flat."""
    n_blocks = n_calls // BLOCK
    n_last = max(n_blocks // 10, 2) // 2 * 2
    rows, every = [], max((n_blocks - n_last) // (PROBES - PROBES // 10), 1)
    for k in range(n_blocks - n_last):
        if k % every == 0:
            rows.append(probe(old))
        old.block(MIX, BLOCK)
    rows.append(probe(old))
    fresh = start_fresh()
    fresh.block(MIX, BLOCK)
    values, samples = common.rounds_of(
        [fresh, fresh, old], FIGURES[MIX], MIX, BLOCK, max(n_last // 2, 1)
    )
    old.block(MIX, BLOCK)
    rows.append(probe(old))
    v, (a, b, late) = values[""], samples[""]
    against_it = compare(v[:, 0], v[:, 2], v[:, 1])
    table.row("rpc_sync", "us", summary(a + b), summary(late), against_it, against_it.again)
    ratios = p99_ratio(late, a + b)
    table.note(f"p99 of the old group / p99 of the fresh one: {ratios:.3f}")
    flat = judged(table, rows[max(len(rows) // 10, 1) :], n_calls)
    is_fast = against_it.ratio < MEDIAN_RATIO and ratios < P99_RATIO
    record = {"script": table.script, "name": "p99", "p99_ratio": ratios, "is_flat": flat}
    table.write(record | {"median_ratio": against_it.ratio, "is_fast": is_fast, "calls": n_calls})
    return flat


def p99_ratio(late, fresh):
    return float(np.percentile(late, 99) / np.percentile(fresh, 99))


def judged(table, rows, n_calls):
    """Print every series; whether all are flat."""
    with_slope = n_calls >= LONG
    print(
        f"{'# after the first tenth':46s}{'first':>13s}{'last':>13s}{'growth':>13s}{'slope a probe, 95 %':>34s}"
    )
    flat = True
    for name in rows[0]:
        series = Series(name, np.array([row[name] for row in rows], float))
        flat = series.is_flat(with_slope) and flat
        print(series.row(with_slope), flush=True)
        found = slope(series.values)
        record = {"script": table.script, "name": name, "growth": series.growth, "calls": n_calls}
        table.write(record | {"slope": found.mean, "interval": [found.low, found.high]})
    return flat


def main():
    parser = common.flags(__doc__, against="none")
    parser.add_argument("--calls", type=int, help="calls of the old group (default: 1,000,000)")
    parser.add_argument("--plant", choices=["leak"], help=common.HIDDEN)
    options = parser.parse_args()
    if options.side:
        name = "LEAKING" if options.plant else "FIGURES"
        group_side("soak", name)(options.side)
        return 0
    if options.against != "none":
        parser.error("the other side of this script is a fresh group: only --against none")
    n_calls = options.calls or (20_000 if options.quick else 1_000_000)
    arguments = ["--plant", options.plant] if options.plant else []
    with common.workshop(__file__) as (stack, folder):
        places, _ = common.both_places("none", stack, folder)
        table = common.Table(Path(__file__).name, "the old group", options.json)
        table.meaning = (
            "# ratio = time of {} after its calls / time of a fresh group; A/A: fresh / fresh"
        )

        def start():
            sides, versions = common.started(
                stack, places, Path(__file__).resolve(), folder, True, arguments
            )
            table.versions |= versions
            return sides[0]

        if not soak(table, start(), start, n_calls):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
