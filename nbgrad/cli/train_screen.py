"""The live progress of `nbgrad train`: one bar per training run, fed epoch by epoch."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)


class Screen:
    """Bars in the terminal; where the output is no terminal, only their last state.

    Parameters
    ----------
    console : Console
        Where to draw.
    epochs : int
        How many epochs a whole run has.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.epochs = epochs
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs  {task.fields[figures]}"),
            console=console,
        )
        self.bar: TaskID | None = None

    def __enter__(self) -> "Screen":
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def begin(self, title: str, state: str) -> None:
        """Start a bar: what runs, and what it does until its first epoch is done."""
        self.bar = self.progress.add_task(title, total=self.epochs, figures=state)

    def epoch(self, done: int, loss: float, samples_per_s: float) -> None:
        """Advance the newest bar."""
        assert self.bar is not None, "begin() comes first"
        figures = f"loss {loss:.4f}  {samples_per_s:,.0f} samples/s"
        self.progress.update(self.bar, completed=done, figures=figures)
