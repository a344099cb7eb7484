"""`nbgrad ps` and `nbgrad clean`: the groups of this user on this machine, and what dead ones have left."""

import json
from dataclasses import asdict

import click
import psutil
from rich.console import Console
from rich.table import Table

from nbgrad.group import census

MIB = 1024**2


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def ps(as_json: bool) -> None:
    """List groups of workers, with each worker's name, process and state."""
    groups = census.groups()
    if as_json:
        click.echo(json.dumps([asdict(group) for group in groups]))
        return
    if not groups:
        click.echo("no groups of this user")
        return
    table = Table()
    for column in ("group", "rank", "name", "pid", "state", "CPU s", "MiB", "shared MiB"):
        table.add_column(column, justify="left" if column in ("name", "state") else "right")
    for number, group in enumerate(groups, 1):
        for member in group.members:
            seconds, memory = use_of(member.pid)
            shared = f"{group.memory_bytes / MIB:.0f}" if member.rank == 0 else ""
            row = (number, member.rank, member.name, member.pid or "", member.state)
            table.add_row(*map(str, row), seconds, memory, shared)
        table.add_section()
    Console().print(table)


def use_of(pid: int) -> tuple[str, str]:
    """CPU seconds and resident MiB of a process; empty if it has gone."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return f"{times.user + times.system:.1f}", f"{process.memory_info().rss / MIB:.0f}"
    except (psutil.Error, ValueError):
        return "", ""


@click.command()
def clean() -> None:
    """Remove the files in /dev/shm of groups that were killed while they started.

    Only groups whose workers somebody else started have such files, and only until all workers have
    joined. Files of groups that live are left alone.
    """
    removed = census.clean()
    for path in removed:
        click.echo(f"removed {path}")
    if not removed:
        click.echo("nothing to remove")
