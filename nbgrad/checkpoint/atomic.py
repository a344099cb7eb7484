"""A file that is replaced as a whole: whoever looks, at whatever instant the writer dies, sees the old one or the new one.

temporary file beside it ── write ── fsync ── rename over the old name ── fsync of the folder
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace(path: str | Path, write: Callable[[str], None]) -> None:
    """Make or replace a file.

    Parameters
    ----------
    path : str or Path
        The file.
    write : callable
        `write(name)` writes the whole content to the file of that name, which exists and is empty.

    Raises
    ------
    Exception
        What `write` raised; the old file is as it was then, and no other is left.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from nbgrad.checkpoint.atomic import replace
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "note")
    ...     replace(path, lambda name: pathlib.Path(name).write_text("new") and None)
    ...     path.read_text()
    'new'
    """
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        write(temporary)
        sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync(path.parent)


def sync(path: str | Path) -> None:
    """What was written to a file, or the names in a folder, is on the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
