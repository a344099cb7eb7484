"""`nbgrad doctor`: what on this machine slows nbgrad down or stops it, and what to do about it.

Each probe looks at one thing and returns findings; it never raises and changes nothing.
"""

import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

import nbgrad
from nbgrad.cli.train_placement import described
from nbgrad.jit.store import folder
from nbgrad.parallel import planned

LIBRARIES = ("numpy", "numba", "llvmlite", "psutil", "click", "rich")
KERNEL = (5, 6)  # the oldest Linux whose futex, memfd and pidfd calls nbgrad relies on
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
FEW_DESCRIPTORS = 1024
MIB = 1024**2
GIB = 1024**3

MARKS = {"ok": "[green]ok[/]", "slow": "[yellow]slow[/]", "stop": "[red]stop[/]"}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `advice` says what to do where the verdict is not ok."""

    topic: str
    value: str
    verdict: str = "ok"  # ok | slow: works, but costs time | stop: a group of workers can't start
    advice: str = ""


def versions() -> dict[str, str]:
    """Versions of nbgrad, Python and the libraries that results depend on."""
    found = {"nbgrad": nbgrad.__version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in LIBRARIES}


def probe_versions() -> Iterator[Finding]:
    """Python and libraries."""
    yield from (Finding(name, version) for name, version in versions().items())
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        yield Finding("GIL", "off", "slow", "free-threaded Python: kernels are called the slow way")


def probe_platform(system: str, machine: str, release: str) -> Iterator[Finding]:
    """Whether groups of workers can exist here at all."""
    value = f"{system} {release}, {machine}"
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if system != "Linux":
        advice = "a group of workers needs Linux; training in one process works"
        yield Finding("platform", value, "stop", advice)
    elif numbers < KERNEL:
        yield Finding("platform", value, "stop", "a group of workers needs Linux 5.6 or later")
    elif machine != "x86_64":
        advice = "only x86-64 is tested: on other processors expect bugs"
        yield Finding("platform", value, "slow", advice)
    else:
        yield Finding("platform", value)


def probe_cpu() -> Iterator[Finding]:
    """Processor, and how many of its cores this process may use."""
    name = platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    yield Finding("processor", name)
    usable = len(psutil.Process().cpu_affinity()) if hasattr(os, "sched_getaffinity") else 1
    value = f"{usable} usable of {psutil.cpu_count()}"
    if usable < 2:
        advice = "workers take turns on one core: every message costs a switch between processes"
        yield Finding("cores", value, "slow", advice)
    else:
        yield Finding("cores", value)


def probe_blas(environment: Mapping[str, str]) -> Iterator[Finding]:
    """NumPy's matrix library, and the variables that make it choose slow code."""
    built: Any = np.show_config(mode="dicts")
    blas = built["Build Dependencies"]["blas"]
    yield Finding("BLAS", f"{blas.get('name')} {blas.get('version')}")
    for name in SLOWING:
        if name in environment:
            advice = f"slows matrix products, up to three times: unset {name}"
            yield Finding(name, environment[name], "slow", advice)
    threads = environment.get("OPENBLAS_NUM_THREADS") or environment.get("OMP_NUM_THREADS")
    yield Finding("BLAS threads", threads or "not set: one per core")


def probe_placement() -> Iterator[Finding]:
    """Where the workers of a group would compute, as many as there are cores, up to four."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if usable < 2:
        return
    world = min(usable, 4)
    found = [planned(rank, world) for rank in range(world)]
    yield Finding(
        f"{world} workers", described(found), "ok", "NBGRAD_PIN=1 pins them to their cores"
    )


def probe_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> Iterator[Finding]:
    """Memory that there is, and the limits on it: shared memory counts against them too."""
    memory = psutil.virtual_memory()
    value = f"{memory.available / GIB:.1f} GiB available of {memory.total / GIB:.1f}"
    yield Finding("memory", value)
    for file in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"):
        if file.exists() and file.read_text().strip().isdigit():
            limit = int(file.read_text())
            if limit < memory.total:
                advice = "a container limit: going over it kills workers with SIGKILL"
                yield Finding("memory limit", f"{limit / GIB:.1f} GiB", "ok", advice)
    for topic, which in (("address space", resource.RLIMIT_AS), ("data", resource.RLIMIT_DATA)):
        limit = resource.getrlimit(which)[0]
        if limit != resource.RLIM_INFINITY:
            advice = "the arenas are large sparse mappings: use `ulimit -v unlimited`"
            yield Finding(f"limit of {topic}", f"{limit / GIB:.1f} GiB", "slow", advice)


def probe_shared_memory(shm: Path = Path("/dev/shm")) -> Iterator[Finding]:
    """Anonymous shared memory for groups that nbgrad starts, /dev/shm for those that others start."""
    if hasattr(os, "memfd_create"):
        try:
            os.close(os.memfd_create("nbgrad-doctor"))
            yield Finding("memfd", "works")
        except OSError as error:
            yield Finding("memfd", str(error), "stop", "a sandbox forbids memfd_create: allow it")
    else:
        yield Finding("memfd", "missing", "stop", "this Python was built without memfd_create")
    if shm.exists():
        usage = shutil.disk_usage(shm)
        value = f"{usage.free / MIB:.0f} MiB free of {usage.total / MIB:.0f}"
        small = (
            "small, but only workers that were not started by nbgrad use it (docker: --shm-size)"
        )
        yield Finding(str(shm), value, "ok", small if usage.total < 256 * MIB else "")


def probe_descriptors() -> Iterator[Finding]:
    """How many files a process may hold open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    advice = "few for many workers: use `ulimit -n 4096`" if soft < FEW_DESCRIPTORS else ""
    yield Finding("open files", f"{soft} (hard limit {hard})", "slow" if advice else "ok", advice)


def probe_cache(place: Path | None) -> Iterator[Finding]:
    """Where compiled kernels are kept."""
    if place is None:
        advice = (
            "no private writable folder: set XDG_CACHE_HOME to one, or each process compiles anew"
        )
        yield Finding("kernel cache", "none", "slow", advice)
        return
    sizes = [entry.stat().st_size for entry in place.glob("*.o")]
    yield Finding("kernel cache", f"{place}: {len(sizes)} kernels, {sum(sizes) / MIB:.1f} MiB")


def findings() -> list[Finding]:
    """All findings about this machine and process."""
    system = platform.uname()
    return [
        *probe_versions(),
        *probe_platform(system.system, system.machine, system.release),
        *probe_cpu(),
        *probe_blas(os.environ),
        *probe_placement(),
        *probe_memory(),
        *probe_shared_memory(),
        *probe_descriptors(),
        *probe_cache(folder()),
    ]


@click.command()
@click.option(
    "--json", "file", type=click.Path(dir_okay=False, writable=True), help="Write to FILE."
)
def doctor(file: str | None) -> None:
    """Say what on this machine slows nbgrad down or stops it.

    Exit code 1 where a group of workers can't start.
    """
    found = findings()
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "found", "advice"):
        table.add_column(column)
    for finding in found:
        mark = MARKS[finding.verdict]
        table.add_row(mark, finding.topic, finding.value, finding.advice)
    Console().print(table)
    if file is not None:
        Path(file).write_text(json.dumps([vars(finding) for finding in found], indent=1) + "\n")
    if any(finding.verdict == "stop" for finding in found):
        raise click.exceptions.Exit(1)
