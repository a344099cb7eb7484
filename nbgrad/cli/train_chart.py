"""A chart of the loss in the terminal, which grows while a run goes on.

2.31 ┤█
     │██▅▂
0.04 ┤██████▇▅▄▃▂▂▁▁
"""

import math

from rich.text import Text

HEIGHT = 8  # lines
EIGHTHS = " ▁▂▃▄▅▆▇█"
STEEP = 10.0  # from this ratio of the largest loss to the smallest on, the scale is logarithmic
LABEL = 9  # letters


class Chart:
    """Losses over the parts of a training that they were told at.

    Parameters
    ----------
    width : int
        Columns.

    Examples
    --------
    >>> from nbgrad.cli.train_chart import Chart
    >>> chart = Chart(width=4)
    >>> for k in range(4):
    ...     chart.add(k / 4, 4.0 - k)
    >>> print(chart.lines()[0])
            4 ┤█
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.sums: dict[int, tuple[float, int]] = {}  # by column

    def add(self, part: float, loss: float) -> None:
        """A loss, when that part of the training was over."""
        column = min(self.width - 1, int(part * self.width))
        total, n = self.sums.get(column, (0.0, 0))
        self.sums[column] = total + loss, n + 1

    def columns(self) -> list[float]:
        """The mean loss of each column up to the last; one without losses has those of the column before."""
        found: list[float] = []
        for column in range(max(self.sums, default=-1) + 1):
            total, n = self.sums.get(column, (0.0, 0))
            if n or found:
                found.append(total / n if n else found[-1])
        return found

    def lines(self) -> list[str]:
        """The chart, from its top."""
        values = self.columns()
        if not values or not all(map(math.isfinite, values)):
            return []
        low, high = min(values), max(values)
        is_steep = low > 0 and high > STEEP * low
        scaled = [math.log(v) if is_steep else v for v in values]
        bottom, span = min(scaled), max(scaled) - min(scaled)
        steps = 8 * HEIGHT - 1
        heights = [1 + round(steps * (v - bottom) / span) if span else 1 for v in scaled]
        gap = " " * (self.width - len(values))
        lines = []
        for row in range(HEIGHT):
            above = 8 * (HEIGHT - 1 - row)
            cells = "".join(EIGHTHS[max(0, min(8, height - above))] for height in heights)
            label = {0: f"{high:.4g}", HEIGHT - 1: f"{low:.4g}"}.get(row, "")
            lines.append(f"{label:>{LABEL}} {'┤' if label else '│'}{cells}{gap}".rstrip())
        return lines

    def __rich__(self) -> Text:
        return Text("\n".join(self.lines()), style="cyan")
