"""Checkpoints: the states of a training run in a folder, one file per step and worker, and the way back from the newest.

    folder/step-000000120/worker-0-of-2.safetensors
           step-000000120/worker-1-of-2.safetensors

Note [Whole checkpoints]
~~~~~~~~~~~~~~~~~~~~~~~~
A step's checkpoint counts when the files of all workers are there.  No worker waits for another one.
Assumes      all save at the same steps, and none saves before all have resumed (! asynchronous workers need a barrier there;
             where each step takes all workers, the first step is one).
W1 (whole)   a file is there entirely or not at all (atomic.py), so "all are there" needs no further mark.
W2 (agreed)  all workers resume from the same step, since no checkpoint becomes whole, or stops to be so, between the first
             and the last of them: W3 removes only files of checkpoints that are not whole.
W3 (one run) what a worker had written for later steps before the restart it removes when it resumes, so that files of
             different runs never make one checkpoint.
W4 (kept)    a worker removes only its own files, and only those of steps before `keep` whole ones.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbgrad.checkpoint.rng import rng_state, set_rng_state
from nbgrad.checkpoint.tensors import load_file, save_file
from nbgrad.errors import CheckpointError
from nbgrad.group.place import birthplace

STEP = re.compile(r"step-(\d{9,})")


class Checkpoints:
    """The checkpoints of one training run, as one of its workers sees them.

    Parameters
    ----------
    folder : str or Path
        Where they are; it is made if it isn't there.
    parts : dict of str to object
        What has a `state_dict()` and a `load_state_dict()`: modules, optimizers (a `DistributedOptimizer`, too),
        schedulers, a `DataLoader`.
    rank, world : int, optional
        Which worker this is, and how many there are; default: those that `spawn` or `nbgrad run` gave.
    keep : int
        How many whole checkpoints stay.

    Examples
    --------
    >>> import tempfile, nbgrad as nb
    >>> from nbgrad.checkpoint import Checkpoints
    >>> folder = tempfile.TemporaryDirectory()
    >>> def train(n_steps):
    ...     _ = nb.manual_seed(0)
    ...     net = nb.nn.Linear(2, 1)
    ...     optimizer = nb.optim.Adam(net.parameters())
    ...     checkpoints = Checkpoints(folder.name, {"net": net, "optimizer": optimizer})
    ...     start = checkpoints.resume()
    ...     for step in range(start, n_steps):
    ...         optimizer.zero_grad()
    ...         net(nb.randn(4, 2)).square().mean().backward()
    ...         optimizer.step()
    ...         checkpoints.save(step + 1)
    ...     return start
    >>> train(3), train(5)
    (0, 3)
    >>> folder.cleanup()
    """

    def __init__(
        self,
        folder: str | Path,
        parts: Mapping[str, Any],
        rank: int | None = None,
        world: int | None = None,
        keep: int = 2,
    ) -> None:
        found = place()
        self.folder, self.parts, self.keep = Path(folder), dict(parts), keep
        self.rank = found[0] if rank is None else rank
        self.world = found[1] if world is None else world
        self.extra: dict[str, Any] = {}
        if keep < 1:
            raise ValueError(f"keep is {keep}, but at least one checkpoint must stay")
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, step: int, rank: int | None = None) -> Path:
        """The file of a worker, this one by default."""
        rank = self.rank if rank is None else rank
        name = f"worker-{rank}-of-{self.world}.safetensors"
        return self.folder / f"step-{step:09d}" / name

    def steps(self) -> list[int]:
        """Steps of which a file is there, whole or not, in order."""
        names = [STEP.fullmatch(entry.name) for entry in self.folder.iterdir()]
        return sorted(int(name[1]) for name in names if name)

    def whole(self) -> list[int]:
        """Steps whose checkpoint is whole, in order.  Note [Whole checkpoints] W1."""
        return [
            step
            for step in self.steps()
            if all(self.path(step, rank).exists() for rank in range(self.world))
        ]

    def save(self, step: int, **extra: Any) -> None:
        """Write this worker's part of a checkpoint.

        Parameters
        ----------
        step : int
            Steps that are done.
        **extra
            More plain values, tensors or arrays; `resume` leaves them in `extra`.

        Raises
        ------
        DtypeError
            If a state can't be stored.
        OSError
            If there is no room; the earlier checkpoints stay.
        """
        state = {
            "step": step,
            "rank": self.rank,
            "world": self.world,
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "rng": rng_state(),
            "extra": extra,
        }
        path = self.path(step)
        path.parent.mkdir(exist_ok=True)
        save_file(state, path)
        kept = self.whole()[-self.keep :]
        for old in self.steps():
            if kept and old < kept[0]:  # Note [Whole checkpoints] W4
                self.forget(old)

    def forget(self, step: int) -> None:
        """Remove this worker's file of a step, and the folder with the last one."""
        path = self.path(step)
        with contextlib.suppress(OSError):  # another worker may have removed the folder meanwhile
            for name in os.listdir(path.parent):
                if name == path.name or name.startswith(f".{path.name}."):
                    (path.parent / name).unlink()  # the second: of a worker killed while it wrote
            path.parent.rmdir()  # or files of other workers are in it

    def resume(self) -> int:
        """Load the newest whole checkpoint into the parts and the random generators.

        Returns
        -------
        int
            Steps that are done; 0 where there is no checkpoint.

        Raises
        ------
        CheckpointError
            If it is damaged, or was written by another number of workers, or for other parts.
        """
        whole = self.whole()
        if not whole:
            self.refuse_other_worlds()
        step = whole[-1] if whole else 0
        if whole:
            state = load_file(self.path(step))
            if set(state["parts"]) != set(self.parts):
                raise CheckpointError(
                    f"{self.path(step)} holds the states of {sorted(state['parts'])}, and this run has {sorted(self.parts)}"
                )
            for name, part in self.parts.items():
                part.load_state_dict(state["parts"][name])
            set_rng_state(state["rng"])
            self.extra = state["extra"]
        for later in self.steps():
            if later > step:  # Note [Whole checkpoints] W3
                self.forget(later)
        return step

    def refuse_other_worlds(self) -> None:
        """A run of two workers can't go on with three; starting anew without a word would lose it."""
        for file in sorted(self.folder.glob("step-*/worker-*.safetensors")):
            theirs = int(file.stem.rpartition("-")[2])
            if theirs != self.world:
                raise CheckpointError(
                    f"{file.parent} is the checkpoint of {theirs} workers, and this run has {self.world}: start as many as "
                    f"then, or give another folder"
                )

    def clear(self) -> None:
        """Remove all checkpoints of the folder, those of other workers, too."""
        for step in self.steps():
            shutil.rmtree(self.folder / f"step-{step:09d}", ignore_errors=True)


def place() -> tuple[int, int]:
    """(rank, number of workers) of this process, which is the only one if nobody started it as a worker."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    birth = birthplace()
    return (birth.index, birth.layout.world) if birth else (0, 1)
