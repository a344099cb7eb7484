"""The object cache: machine code of kernels on disk, so that nothing compiles twice.

One folder per fingerprint (everything that all objects depend on), one file per kernel flavour whose name ends
with a hash of the sources that the kernel is made from.  A file of another nbgrad, Python, NumPy, Numba, llvmlite or CPU has
another name and is never loaded.  Files appear by atomic rename; a lock file per object makes one process compile
while the others wait for its result.
"""

import contextlib
import fcntl
import hashlib
import linecache
import os
import platform
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from nbgrad.jit import llvm

PACKAGE = Path(__file__).parents[1]
COMPILER = ("compile", "fastcall", "machine", "primitive", "wrapper")


def digest(*parts: bytes) -> str:
    """First 16 hex digits of a hash over `parts`."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()[:16]


@cache
def fingerprint() -> str:
    """Hash of what every object depends on: versions, CPU, and how nbgrad compiles (jit/)."""
    import importlib.metadata  # 10 ms, and needed only to run kernels

    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite")]
    facts = [sys.version, platform.machine(), np.__version__, *versions, llvm.get_host_cpu_name()]
    facts.append(llvm.get_host_cpu_features().flatten())
    sources = [(PACKAGE / "jit" / f"{name}.py").read_bytes() for name in COMPILER]
    return digest("\n".join(facts).encode(), *sources)


def source_digest(file: str) -> str:
    """Hash of one source file, that of a kernel.

    Code of a notebook or a doctest is in no file but in `linecache`; what was typed at a prompt is nowhere, and gets
    a hash that no other process will ask for.
    """
    try:
        return file_digest(file)
    except OSError:
        lines = linecache.getlines(file)
        return digest("".join(lines).encode()) if lines else digest(os.urandom(16))


@cache
def file_digest(file: str) -> str:
    """Hash of a file's content."""
    return digest(Path(file).read_bytes())


@cache
def folder() -> Path | None:
    """Where objects are kept, or None where no safe place can be written (kernels then compile in each process).

    A cache folder holds code that will run, so one that others could write to is refused.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbgrad"
    place = base / fingerprint()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = place.stat()
    except OSError:
        return None
    shared = facts.st_uid != os.getuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return None if shared or not os.access(place, os.W_OK) else place


def load(name: str) -> bytes | None:
    """The object kept under `name`, or None."""
    place = folder()
    if place is None:
        return None
    try:
        return (place / f"{name}.o").read_bytes()
    except OSError:
        return None


def load_or_make(name: str, make) -> bytes:
    """The object kept under `name`; if there is none, `make()` it, in one process while the others wait."""
    found = load(name)
    if found is not None:
        return found
    place = folder()
    if place is None:
        return make()
    with contextlib.suppress(OSError), open(place / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed by the kernel if this process dies
        found = load(name)
        if found is None:
            found = make()
            save(place, name, found)
    return found if found is not None else make()


def save(place: Path, name: str, obj: bytes) -> None:
    """Write by atomic rename: a reader sees the whole file or none.  A full disk only costs the caching."""
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=place)
        with os.fdopen(handle, "wb") as file:
            file.write(obj)
        os.rename(temporary, place / f"{name}.o")
