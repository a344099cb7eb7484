"""One way to measure: the flags, the rounds, the columns and the JSON lines of every script in this folder.

A script names its question in its docstring, lists its figures, and calls `main`.  Its functions take `lib`, the
names of one framework (library.py), so the same text measures nbgrad, torch, and nbgrad of another revision.

Each side is a child process, or the launcher of a group (sides.py).  A round is one block of ours, one of the
other's and a second one of ours, in random order; ratios are taken inside rounds only (stats.py).
"""

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from library import Library
from revisions import RevisionError, built
from sides import Absent, Side, SideFailed, serve
from stats import compare, summary

HIDDEN = argparse.SUPPRESS
ROOT = Path(__file__).resolve().parents[1]
TORCH_PYTHON = "NBGRAD_PERF_TORCH_PYTHON"
JAX_PYTHON = "NBGRAD_PERF_JAX_PYTHON"
PYTHONS = {"torch": TORCH_PYTHON, "torch.compile": TORCH_PYTHON, "jax": JAX_PYTHON}
COMPILED = ("torch.compile", "jax")
COMPILERS = ("g++", "c++", "clang++")
UNITS = {"ns": 1.0, "%": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}

EPILOG = f"""\
ratio = the other side's time / nbgrad's (above 1: nbgrad is faster), the median over rounds, with its 95 % bootstrap
interval.  A/A = the same ratio of nbgrad against itself in the same rounds: what noise alone makes.

{TORCH_PYTHON} names a Python that has torch, when this one has not, {JAX_PYTHON} one that has jax.  Scripts with captured
steps compare them with jax.jit and torch.compile by --against jax and --against torch.compile.
--json adds one line per figure to FILE: name, ratio, interval, A/A, load, versions and the columns of the table."""


@dataclass(frozen=True)
class Figure:
    """What one row measures.

    Parameters
    ----------
    name : str
        Row title.
    setup : function(lib) -> block
        `block(count)` measures `count` items and returns samples in ns per item: a list, or a dict of lists when it
        measures several things at once (one row each).
    unit : str
        Unit of the columns: ns, us, ms or s.
    count : int
        Items of one block.
    rounds, quick : int
        Rounds of a full run, and of `--quick`.
    warm : int
        Items at the start of each block that are not timed.
    renew : int
        Set up again so many times in each block, `count` items each; 0: once for the whole run.  Note [Where memory
        lies] in sides.py.
    note : str
        A line above the row, or nothing.
    size_bytes : int
        Payload of an item, for GB/s; 0: it has none.
    """

    name: str
    setup: Callable
    unit: str = "us"
    count: int = 10
    rounds: int = 300
    quick: int = 40
    warm: int = 1
    renew: int = 0
    note: str = ""
    size_bytes: int = 0


def flags(description, against="torch"):
    """The flags that every script has."""
    parser = argparse.ArgumentParser(
        description=description, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under 20 s")
    parser.add_argument("--json", metavar="FILE", help="add one JSON line per figure to FILE")
    parser.add_argument(
        "--against",
        metavar="torch|torch.compile|jax|none|REV",
        default=against,
        help="the other side: torch, torch.compile, jax, none, or a git revision of nbgrad (default: %(default)s)",
    )
    parser.add_argument("--side", choices=["nbgrad", *PYTHONS], help=HIDDEN)
    return parser


def git(*command):
    """Output of a git command in this repository, or None."""
    try:
        done = subprocess.run(
            ["git", "-C", ROOT, *command], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def python_with(framework):
    """A Python that has what a framework needs, or None after saying so."""
    package, _, rest = framework.partition(".")
    variable = PYTHONS[framework]
    python = os.environ.get(variable, sys.executable)
    probe = f"import importlib.util as u; raise SystemExit(u.find_spec({package!r}) is None)"
    if subprocess.run([python, "-c", probe], check=False, timeout=60).returncode != 0:
        print(
            f"# {package} is not installed for {python} ({variable} names another): nbgrad's figures only"
        )
        return None
    if rest and not any(map(shutil.which, COMPILERS)):
        print(f"# {framework} needs a C++ compiler, and there is none: nbgrad's figures only")
        return None
    return python


class Table:
    """The rows of one run, on the screen and in the JSON file."""

    meaning = "# ratio = time of {} / time of nbgrad; A/A = nbgrad / nbgrad in the same rounds"

    def __init__(self, script, against, json_file=None):
        self.script = script
        self.against = against
        self.json_file = json_file
        self.versions = {"python": platform.python_version(), "machine": platform.machine()}
        self.versions["cores"] = len(os.sched_getaffinity(0))
        self.rev = git("describe", "--always", "--dirty", "--abbrev=10") or "none"
        self.unit = None
        self.speeds = ""  # titles of the columns of GB/s
        self.has_head = False

    def head(self):
        known = self.versions
        parts = [
            f"# perf/{self.script}",
            f"rev {self.rev}",
            known["machine"],
            f"{known['cores']} cores",
        ]
        parts.append(f"load {os.getloadavg()[0]:.1f}")
        parts += [f"{k} {v}" for k, v in known.items() if k not in ("machine", "cores")]
        print("  ".join(parts))
        if self.against:
            print(self.meaning.format(self.against))
        self.has_head = True

    def columns(self, unit):
        row = f"{'# name':46s}" + "".join(
            f"{f'{what} {unit}':>13s}" for what in ("median", "p99", "max")
        )
        if self.against:
            other = self.against[:10]
            row += "".join(f"{what:>15s}" for what in (f"{other} {unit}", f"{other} p99"))
            row += f"{'ratio':>9s}{'95 % interval':>19s}"
        print(row + f"{'A/A':>8s}" + self.speeds)
        self.unit = unit

    def note(self, text):
        if not self.has_head:
            self.head()
        print(f"# {text}")

    def row(self, name, unit, ours, other, against_it, again, size_bytes=0, more=None):
        """Print one figure, and write its JSON line.  `ours`, `other`: Summary in ns; `against_it`: Comparison.

        `more` goes into the JSON line.
        """
        if not self.has_head:
            self.head()
        if size_bytes and not self.speeds:
            self.speeds = f"{'GB/s':>10s}" + (f"{'its GB/s':>10s}" if self.against else "")
            self.unit = None
        if unit != self.unit:
            self.columns(unit)
        scale = UNITS[unit]
        mine = [ours.median / scale, ours.p99 / scale, ours.max / scale]
        line = f"{name:46s}" + "".join(f"{value:13.4g}" for value in mine)
        record = {
            "script": self.script,
            "name": name,
            "unit": unit,
            "against": self.against,
            "n": ours.n,
        }
        record |= dict(
            zip(("median", "p99", "max"), mine, strict=True), ratio=None, interval=None, aa=again
        )
        if other is not None:
            its = [other.median / scale, other.p99 / scale, other.max / scale]
            line += f"{its[0]:15.4g}{its[1]:15.4g}{against_it.ratio:9.3g}"
            line += f"{f'{against_it.low:.3g} - {against_it.high:.3g}':>19s}"
            record |= dict(zip(("other_median", "other_p99", "other_max"), its, strict=True))
            record |= {"ratio": against_it.ratio, "interval": [against_it.low, against_it.high]}
        elif self.against:
            line += f"{'-':>15s}{'-':>15s}{'-':>9s}{'-':>19s}"
        line += f"{again:8.3f}"
        if size_bytes:
            speeds = [size_bytes / side.median for side in (ours, other) if side is not None]
            line += "".join(f"{speed:10.3g}" for speed in speeds)
            record |= dict(zip(("gb_per_s", "other_gb_per_s"), speeds))
        print(line, flush=True)
        self.write(record | (more or {}))

    def write(self, record):
        if self.json_file:
            record |= {"load": os.getloadavg()[0], "rev": self.rev, "versions": self.versions}
            with open(self.json_file, "a") as file:
                file.write(json.dumps(record) + "\n")


def rounds_of(sides, figure, number, count, n_rounds):
    """Measure `n_rounds` rounds of one block per entry of `sides`, in random order.

    Returns
    -------
    values : {measure: array, shape (rounds, sides)}
        Median of each block, ns.
    samples : {measure: [list per side]}
        Everything timed, ns.
    """
    values, samples = {}, {}
    order = list(range(len(sides)))
    for k in range(n_rounds):
        random.shuffle(order)
        for s in order:
            for measure, block in sides[s].block(number, count).items():
                if measure not in values:
                    values[measure] = np.empty((n_rounds, len(sides)))
                    samples[measure] = [[] for _ in sides]
                values[measure][k, s] = np.median(block)
                samples[measure][s] += block
    return values, samples


def measure(table, figures, ours, other, quick):
    """Measure every figure on both sides (`other` may be None) and print the rows."""
    sides = [ours, ours] if other is None else [ours, ours, other]
    for number, figure in enumerate(figures):
        here = list(sides)
        for side in dict.fromkeys(sides):  # the first blocks compile, connect, fill caches
            try:
                side.block(number, figure.count)
                side.block(number, figure.count)
            except Absent as missing:
                if side is ours:
                    raise SideFailed(f"{figure.name}: nbgrad does not have it: {missing}") from None
                print(f"# {figure.name}: absent in {table.against}: {missing}")
                here = [] if table.against in COMPILED else [ours, ours]
        if not here:
            continue  # what is compared is compiled steps
        if figure.note:
            table.note(figure.note)
        n_rounds = figure.quick if quick else figure.rounds
        values, samples = rounds_of(here, figure, number, figure.count, n_rounds)
        for measure, v in values.items():
            name = f"{figure.name}, {measure}" if measure else figure.name
            mine = summary(samples[measure][0] + samples[measure][1])
            if len(here) == 3:
                its, against_it = summary(samples[measure][2]), compare(v[:, 0], v[:, 2], v[:, 1])
            else:
                its, against_it = None, None
            again = compare(v[:, 0], v[:, 0], v[:, 1]).again
            table.row(name, figure.unit, mine, its, against_it, again, figure.size_bytes)


def started(stack, places, script, folder, is_group=False, arguments=()):
    """Start a side per (label, framework, python, path) of `places`; `stack` closes them.

    Returns
    -------
    list of Side, dict of versions
    """
    sides, versions = [], {}
    for label, framework, python, path in places:
        side = Side(label, framework, python, script, folder, path, is_group, arguments)
        stack.callback(side.close)
        sides.append(side)
    for side in reversed(sides):  # the first side's versions win
        versions |= side.wait_ready()["versions"]
    return sides, versions


def both_places(against, stack, folder):
    """Where each side runs: [(label, framework, python, path), ...], ours first; and the other's name or None."""
    here = ("nbgrad", "nbgrad", sys.executable, ROOT)
    if against == "none":
        return [here], None
    if against in PYTHONS:
        python = python_with(against)
        return ([here, (against, against, python, None)], against) if python else ([here], None)
    ours, its = stack.enter_context(built(ROOT, against, folder))
    return [("nbgrad", "nbgrad", ours, None), (against, "nbgrad", its, None)], against


def main(script, description, figures, run_side, is_group=False, against="torch"):
    """Run a script: as a side when told so by --side, else measure, print and write.  Ends the process.

    Parameters
    ----------
    script : path
        `__file__` of the script.
    run_side : function(framework)
        What a child does: ends in `serve(figures, lib)`, in this process or in worker0 of the group it starts.
    against : str
        Default of --against.
    """
    options = flags(description, against).parse_args()
    if options.side:
        run_side(options.side)
        sys.exit(0)
    script = Path(script).resolve()
    with workshop(script) as (stack, folder):
        places, against = both_places(options.against, stack, folder)
        table = Table(script.name, against, options.json)
        sides, versions = started(stack, places, script, folder, is_group)
        table.versions |= versions
        measure(table, figures, sides[0], sides[1] if against else None, options.quick)
    sys.exit(0)


@contextmanager
def workshop(script):
    """An ExitStack and a scratch folder; says in one line why nothing more was measured, with exit code 2.

    (1 is for what was measured.)
    """
    try:
        with ExitStack() as stack:
            yield stack, stack.enter_context(tempfile.TemporaryDirectory(prefix="nbgrad-perf-"))
    except (SideFailed, RevisionError) as failure:
        reason = failure
    except KeyboardInterrupt:
        reason = "interrupted; what was printed stands"
    else:
        return
    print(f"perf/{Path(script).name}: {reason}", file=sys.stderr)
    sys.exit(2)


def simple_side(figures):
    """`run_side` of scripts that measure in the child itself."""
    return lambda framework: serve(figures, Library(framework))
