"""The live progress of `nbgrad train`: one bar per training run, and a chart of the loss, where the output is a terminal."""

from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from nbgrad.cli.train_chart import LABEL, Chart

FRAMES_PER_S = 4
LEAST_WIDTH, MOST_WIDTH = 20, 100  # columns of the chart


class Screen:
    """Bars and a chart in the terminal; where the output is no terminal, only the bars' last state.

    Parameters
    ----------
    console : Console
        Where to draw.
    unit : str
        What is trained on: "images".
    """

    def __init__(self, console: Console, unit: str = "samples") -> None:
        self.console, self.unit = console, unit
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self.bar: TaskID | None = None
        self.speed = ""
        self.chart = self.empty()
        self.live = Live(
            get_renderable=self.picture, console=console, refresh_per_second=FRAMES_PER_S
        )

    def empty(self) -> Chart:
        """A chart of the width of the terminal."""
        return Chart(max(LEAST_WIDTH, min(MOST_WIDTH, self.console.width - LABEL - 3)))

    def picture(self) -> Any:
        """What is to be seen now."""
        return Group(self.progress, self.chart) if self.console.is_terminal else self.progress

    def __enter__(self) -> "Screen":
        self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.live.stop()
        if not self.console.is_interactive:
            self.console.print()  # ends the line, which it leaves open there

    def begin(self, title: str, state: str) -> None:
        """Start a bar and a chart: what runs, and what it does until its first figures are there."""
        self.bar = self.progress.add_task(title, total=1.0, figures=state)
        self.chart, self.speed = self.empty(), ""

    def show(self, line: dict[str, Any]) -> None:
        """Advance the newest bar, by a line of the journal."""
        assert self.bar is not None, "begin() comes first"
        self.chart.add(line["part"], line["loss"])
        if "samples_per_s" in line:
            self.speed = f"  {line['samples_per_s']:,.0f} {self.unit}/s"
        figures = f"step {line['step']}  loss {line['loss']:.4f}{self.speed}"
        self.progress.update(self.bar, completed=min(1.0, line["part"]), figures=figures)
