"""Has anything become slower since REV?

    python perf/regress.py --quick --against HEAD~1       # exit code 1: something regressed

The other revision is checked out into a git worktree and gets an environment of its own (revisions.py); the present
tree, changes that are not committed included, gets one like it.  Processes of both are measured in turn in one
session, kernel by kernel, the encode path, the cost of an operation, a call and a backward hop.  A suspected
difference is measured again, with new processes, before it is named: Note [When a difference is named] in verdict.py.

Exit code: 0 nothing regressed, 1 something did, 2 it could not be measured.
"""

import sys
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

import common
import numpy as np
from groups import group_side
from library import Library
from regress_figures import GROUP, KERNELS
from revisions import built
from sides import Absent, serve
from verdict import CANT_TELL, IMPROVED, REGRESSED, confirm, judge

BLOCK_NS = 300_000  # of short calls
FAMILIES = {"kernels": (KERNELS, False), "group": (GROUP, True)}


def run_side(framework, family):
    if family == "group":
        group_side("regress_figures", "GROUP")(framework)
    else:
        serve(KERNELS, Library(framework))


class Session:
    """Both revisions, and what was measured of them so far."""

    def __init__(self, pythons, folder, table):
        self.pythons = pythons
        self.folder = folder
        self.table = table
        self.counts = {}  # name -> items per block, the same in every process

    def measure(self, family, wanted, n_processes, effort):
        """Measure the `wanted` figures of a family in `n_processes` new processes per side.

        Yields figure, row title, and block times, shape (rounds, 2 * n_processes), ours first.
        """
        figures, is_group = FAMILIES[family]
        with ExitStack() as stack:
            places = [
                (label, "nbgrad", python, None)
                for _ in range(n_processes)
                for label, python in self.pythons.items()
            ]
            # One process per side first: it compiles, and the others load what it compiled.
            options = {"is_group": is_group, "arguments": ["--family", family]}
            first, versions = common.started(stack, places[:2], __file__, self.folder, **options)
            self.table.versions |= versions
            numbers = [k for k, figure in enumerate(figures) if figure.name in wanted]
            present = [k for k in numbers if self.is_present(first, k, figures[k])]
            rest, _ = common.started(stack, places[2:], __file__, self.folder, **options)
            sides = [*first, *rest]
            sides = sides[0::2] + sides[1::2]
            for k in present:
                figure = figures[k]
                count = self.count(figure, sides[0], k)
                for side in sides[1:]:
                    side.block(k, count)
                values, _ = common.rounds_of(sides, figure, k, count, effort(figure))
                for measure, v in values.items():
                    yield figure, f"{figure.name}, {measure}" if measure else figure.name, v

    def is_present(self, sides, number, figure):
        """Whether both revisions have the figure; says so if the other has not."""
        for side in sides:
            try:
                side.block(number, 1)
            except Absent as missing:
                self.table.note(f"{figure.name}: not in {side.label}: {missing}")
                return False
        return True

    def count(self, figure, side, number):
        """Items of a block: as many short calls as fill BLOCK_NS, or what the figure says."""
        if not figure.renew:
            return figure.count
        if figure.name not in self.counts:
            measured = [side.block(number, figure.count) for _ in range(3)][-1]
            item_ns = sum(min(samples) for samples in measured.values())
            self.counts[figure.name] = max(figure.count, round(BLOCK_NS / item_ns / figure.renew))
        return self.counts[figure.name]


def regress(session, table, quick, only="*"):
    """Measure, suspect, measure again, report; {row title: word}."""
    words = {}
    for family, (figures, _) in FAMILIES.items():
        suspected = {}
        wanted = {figure.name for figure in figures if fnmatch(figure.name, only)}
        if not wanted:
            continue
        effort = (lambda f: f.quick) if quick else (lambda f: f.rounds)
        for figure, name, values in session.measure(family, wanted, 3, effort):
            verdict = judge(values, 3, len(wanted))
            if verdict.word == CANT_TELL:
                table.verdict(figure, name, values, verdict)
                words[name] = verdict.word
            else:
                suspected[name] = figure, verdict
        if not suspected:
            continue
        table.note(f"measured again, in new processes: {', '.join(suspected)}")
        wanted = {figure.name for figure, _ in suspected.values()}
        for figure, name, values in session.measure(family, wanted, 5, lambda f: f.rounds):
            if name in suspected:
                verdict = confirm(suspected[name][1], judge(values, 5, len(suspected)))
                table.verdict(figure, name, values, verdict)
                words[name] = verdict.word
    return words


class Verdicts(common.Table):
    """The table of a comparison of two revisions."""

    meaning = "# change = time now / time of {} - 1; A/A = the largest such change between two processes of one side"

    def columns(self, unit):
        names = f"{'# name':46s}{f'now {unit}':>12s}{f'{self.against[:10]} {unit}':>15s}"
        print(names + f"{'change':>9s}{'interval':>18s}{'A/A':>8s}  verdict")
        self.unit = unit

    def verdict(self, figure, name, values, verdict):
        if not self.has_head:
            self.head()
        if figure.unit != self.unit:
            self.columns(figure.unit)
        n = values.shape[1] // 2
        scale = common.UNITS[figure.unit]
        now, then = (float(np.median(v)) / scale for v in (values[:, :n], values[:, n:]))
        span = f"{verdict.low:+.1%} - {verdict.high:+.1%}"
        print(
            f"{name:46s}{now:12.4g}{then:15.4g}{verdict.change:+9.1%}{span:>18s}{verdict.again:8.1%}"
            f"  {verdict.word}",
            flush=True,
        )
        inverse = [1 / (1 + x) for x in (verdict.change, verdict.high, verdict.low)]
        record = {"script": self.script, "name": name, "unit": figure.unit, "against": self.against}
        record |= {
            "median": now,
            "other_median": then,
            "ratio": inverse[0],
            "interval": inverse[1:],
        }
        self.write(record | {"aa": 1 + verdict.again, "verdict": verdict.word})


def main():
    parser = common.flags(__doc__, against="HEAD")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="figures, as in 'relu*'")
    parser.add_argument("--family", choices=FAMILIES, help=common.HIDDEN)
    options = parser.parse_args()
    if options.side:
        run_side(options.side, options.family)
        return 0
    if options.against in ("torch", "none"):
        parser.error("--against names a git revision here")
    table = Verdicts(Path(__file__).name, options.against, options.json)
    with common.workshop(__file__) as (stack, folder):
        now, then = stack.enter_context(built(common.ROOT, options.against, folder))
        scratch = Path(folder, "run")
        scratch.mkdir()
        session = Session({"now": now, options.against: then}, scratch, table)
        words = regress(session, table, options.quick, options.only)
    if not words:
        parser.error(f"no figure that both revisions have matches --only {options.only!r}")
    named = [", ".join(n for n in words if words[n] == word) for word in (REGRESSED, IMPROVED)]
    print(
        f"# {len(words)} figures; regressed: {named[0] or 'none'}; improved: {named[1] or 'none'}"
    )
    return REGRESSED in words.values()


if __name__ == "__main__":
    sys.exit(main())
