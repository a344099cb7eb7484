"""Plan: what a recorded step becomes: steps that stay calls of Python, and runs of the machine between them.

    steps        Read  Op  Op  Op  Op  Pull Pull Pull Store
                             └──┴── one run      └──┴── one run
    values       those that only runs see live in memory of the program; the others are new in each replay

Note [Buffers]
~~~~~~~~~~~~~~
A value that nobody but the instructions of one run reads lives in scratch: one tile, which the run's later values use again.
A value that several runs read, and nobody else, has a whole array of the program; it, too, is used again by later values of
its size.
G1 (kept)   what a user can hold (results, `.grad`, what goes into calls of Python) is never memory of the program, so an
            array of an earlier replay does not change.
G2 (last)   memory is given away after the instruction of the value's last use, not at it: a routine that finds its result
            in the place of an operand runs its loop element by element instead of in vectors.
"""

from collections import Counter
from typing import Any

import numpy as np

from nbgrad.capture.lower import Instruction, fused, lowered, used
from nbgrad.capture.machine import HEADER, N_WORDS, OUTSIDE, ROUTINES, TILE
from nbgrad.capture.prune import pruned
from nbgrad.capture.trace import Trace, Value, used_by, values_in

LINE = 64  # bytes of a cache line
BLOCK = 1 << 16  # bytes that are taken at once


class Run:
    """Instructions over one shape and dtype.

    Attributes
    ----------
    gets, gives : list of Value
        What comes from outside, and what is made for outside.
    program : ndarray of int64
        See `nbgrad.capture.machine`.
    """

    def __init__(self, like: Value) -> None:
        self.shape, self.size, self.dtype = like.shape, like.size, like.dtype
        self.instructions: list[Instruction] = []
        self.gets: list[Value] = []
        self.gives: list[Value] = []
        self.program: Any = None

    def fits(self, value: Value) -> bool:
        return value.shape == self.shape and value.dtype == self.dtype


class Plan:
    """The items of a program, in order: recorded steps, and runs."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.items: list[Any] = []
        self.keep: list[Any] = []  # memory of the program
        self.block, self.used = np.empty(0, np.uint8), 0
        steps = pruned(trace)
        instructions = lowered(steps)
        shown = set(values_in(trace.result))
        for place, step in enumerate(steps):
            if place not in instructions:
                shown.update(used_by(step))
        kept = used(instructions, steps, shown)
        self.cut(steps, kept)
        self.runs = [item for item in self.items if isinstance(item, Run)]
        uses = Counter(
            v for run in self.runs for one in run.instructions for v in values_in(one.inputs)
        )
        uses.update(shown)
        for run in self.runs:
            run.instructions = fused(run.instructions, uses)
        self.place(shown)

    def cut(self, steps: list, kept: dict[int, list[Instruction]]) -> None:
        """Make runs of neighbours; a `Read` between them goes before."""
        current: Run | None = None
        for place, step in enumerate(steps):
            if place not in kept:
                if current is not None and type(step).__name__ == "Read":
                    self.items.insert(len(self.items) - 1, step)
                    continue
                current = None
                self.items.append(step)
                continue
            for one in kept[place]:
                if current is None or not current.fits(one.out):
                    current = Run(one.out)
                    self.items.append(current)
                current.instructions.append(one)

    def place(self, shown: set[Value]) -> None:
        """Give each value its memory, and each run its program: Note [Buffers]."""
        last: dict[Value, tuple[int, int]] = {}
        homes: dict[Value, set[int]] = {}
        made: set[Value] = set()
        for r, run in enumerate(self.runs):
            for k, one in enumerate(run.instructions):
                made.add(one.out)
                homes.setdefault(one.out, set()).add(r)
                for value in values_in(one.inputs):
                    last[value] = (r, k)
                    homes.setdefault(value, set()).add(r)
        whole: dict[tuple, list[np.ndarray]] = {}  # (size, dtype) -> free arrays of the program
        address: dict[
            Value, tuple[int, bool]
        ] = {}  # -> (address, whether it moves on with the tile)
        memory: dict[Value, np.ndarray] = {}
        for r, run in enumerate(self.runs):
            tile = min(TILE, run.size)
            scratch: list[np.ndarray] = []
            gets: dict[Value, list[int]] = {}
            words: list[int] = []
            base = HEADER
            for k, one in enumerate(run.instructions):
                places = []
                for value in one.inputs:
                    if not isinstance(value, Value):
                        number = self.memory(1, run.dtype)
                        number[0] = value
                        places.append((number.ctypes.data, False))
                    elif value in shown or value not in made:
                        gets.setdefault(value, []).append(base + len(words) + 2 + len(places))
                        places.append((0, True))
                    else:
                        places.append(address[value])
                if one.out in shown:
                    gets.setdefault(one.out, []).append(base + len(words) + 1)
                    run.gives.append(one.out)
                    out = (0, True)
                else:
                    inner = homes[one.out] == {r}
                    pool = scratch if inner else whole.setdefault((run.size, run.dtype), [])
                    array = (
                        pool.pop() if pool else self.memory(tile if inner else run.size, run.dtype)
                    )
                    memory[one.out] = array
                    out = address[one.out] = (array.ctypes.data, not inner)
                for value in set(values_in(one.inputs)):  # G2
                    if value in memory and last[value] == (r, k):
                        array = memory.pop(value)
                        pool = (
                            scratch
                            if homes[value] == {r}
                            else whole.setdefault((run.size, run.dtype), [])
                        )
                        pool.append(array)
                while len(places) < 3:
                    places.append(places[0])
                spots = [out, *places]
                fill = gets_of_first(gets, places, one, base + len(words))
                for value, word in fill:
                    gets[value].append(word)
                words.append(ROUTINES[one.routine].address(run.dtype.name))
                words += [where for where, _ in spots]
                words.append(sum(moves << k for k, (_, moves) in enumerate(spots)))
            given = set(run.gives)
            run.gets = [value for value in gets if value not in given]
            run.program = self.program(run, words, [gets[v] for v in (*run.gets, *run.gives)], tile)

    def memory(self, size: int, dtype: np.dtype) -> np.ndarray:
        """An array of the program.  They lie close together, those of a cache line and more at its start."""
        n_bytes = size * dtype.itemsize
        align = min(LINE, 1 << (n_bytes - 1).bit_length()) if n_bytes else 1
        start = -(-self.used // align) * align
        if start + n_bytes > len(self.block):
            self.block = np.zeros(max(BLOCK, n_bytes) + LINE, np.uint8)
            self.block = self.block[-self.block.ctypes.data % LINE :]
            self.keep.append(self.block)
            start = 0
        self.used = start + n_bytes
        return self.block[start : self.used].view(dtype)

    def program(self, run: Run, words: list[int], places: list[list[int]], tile: int) -> np.ndarray:
        """The words that `nbgrad.capture.machine` reads."""
        n = len(run.instructions)
        outside = HEADER + n * N_WORDS
        header = [run.size, n, HEADER, len(places), outside, tile, run.dtype.itemsize]
        entries: list[int] = []
        fixups: list[int] = []
        for spots in places:
            entries += [0, id(run.dtype), outside + OUTSIDE * len(places) + len(fixups), len(spots)]
            fixups += spots
        self.keep.append(run.dtype)
        return np.array([*header, *words, *entries, *fixups], np.int64)


def gets_of_first(gets: dict, places: list, one: Instruction, at: int) -> list[tuple[Value, int]]:
    """The words of operands that a routine does not look at: they repeat the first, which may come from outside."""
    first = one.inputs[0]
    if not isinstance(first, Value) or first not in gets or at + 2 not in gets[first]:
        return []
    return [(first, at + 2 + k) for k in range(len(one.inputs), 3)]
