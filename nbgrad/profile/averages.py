"""Averages: events that have the same name, counted and added up, as a table."""

from collections.abc import Iterable
from dataclasses import dataclass

from nbgrad.profile.events import Event, self_times

COLUMNS = {
    "cpu_time_total": "cpu_time_total",
    "self_cpu_time_total": "self_cpu_time_total",
    "cpu_time": "cpu_time",
    "self_cpu_time": "self_cpu_time_total",
    "count": "count",
    "key": "key",
    "name": "key",
}


@dataclass
class Average:
    """All events of one kind and name; times in microseconds, by the clock on the wall."""

    key: str  # the name
    kind: str
    worker: str  # "" if it stands for all workers
    count: int = 0
    cpu_time_total: float = 0.0
    self_cpu_time_total: float = 0.0  # without what ran inside of them

    @property
    def cpu_time(self) -> float:
        """The mean."""
        return self.cpu_time_total / self.count


class Averages(list):
    """A list of `Average`s that prints as a table."""

    def table(self, sort_by: str | None = "self_cpu_time_total", row_limit: int = 100) -> str:
        """One row per average.

        Parameters
        ----------
        sort_by : str, optional
            "cpu_time_total", "self_cpu_time_total", "cpu_time", "count" (largest first), "name"; None leaves the order
            as it is.
        row_limit : int
            How many rows at most; -1 for all.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        if sort_by is not None and sort_by not in COLUMNS:
            raise ValueError(f"can't sort by {sort_by!r}; choose one of {', '.join(COLUMNS)}")
        rows = list(self)
        if sort_by is not None:
            column = COLUMNS[sort_by]
            rows.sort(key=lambda row: getattr(row, column), reverse=column != "key")
        shown = rows if row_limit < 0 else rows[:row_limit]
        width = max([len(row.key) for row in shown], default=0)
        width = min(max(width, 4), 55)
        with_worker = any(row.worker for row in self)
        place = max([len(row.worker) for row in shown], default=0) if with_worker else 0
        whole = sum(row.self_cpu_time_total for row in self if row.kind != "rpc") or 1.0
        worker = f"{'worker':{max(place, 6)}s}  " if with_worker else ""
        lines = [
            f"{worker}{'kind':8s}  {'name':{width}s} {'count':>7s} {'total us':>12s} {'self us':>12s} "
            f"{'self %':>7s} {'mean us':>10s}"
        ]
        for row in shown:
            worker = f"{row.worker:{max(place, 6)}s}  " if with_worker else ""
            share = f"{100 * row.self_cpu_time_total / whole:.1f}" if row.kind != "rpc" else "-"
            lines.append(
                f"{worker}{row.kind:8s}  {shortened(row.key, width):{width}s} {row.count:7d} {row.cpu_time_total:12.1f} "
                f"{row.self_cpu_time_total:12.1f} {share:>7s} {row.cpu_time:10.1f}"
            )
        if len(shown) < len(rows):
            lines.append(f"... {len(rows) - len(shown)} more")
        return "\n".join(lines)

    __str__ = table


def averages(events: Iterable[Event], by_worker: bool) -> Averages:
    """Events added up by kind and name, and by worker if asked for."""
    events = list(events)
    found: dict = {}
    for event, own_us in zip(events, self_times(events)):
        worker = event.worker if by_worker else ""
        row = found.get((worker, event.kind, event.name))
        if row is None:
            row = found[worker, event.kind, event.name] = Average(event.name, event.kind, worker)
        row.count += 1
        row.cpu_time_total += event.duration_us
        row.self_cpu_time_total += own_us
    return Averages(found.values())


def shortened(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 3]}..."
