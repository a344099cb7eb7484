"""A file of JSON lines by which a worker tells the launcher how it is getting on.

    worker 0:  Journal(path).write(epoch=3, loss=0.21)          appends one line at once
    launcher:  for line in Tail(path).read(): ...               the whole lines since the last call

Nothing waits for anything: a worker that dies leaves what it had told, and the launcher never blocks.
"""

import json
from pathlib import Path
from typing import Any


class Journal:
    """The writing end.

    Parameters
    ----------
    path : str or Path
        The file; it is made, or continued.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from nbgrad.cli.journal import Journal, Tail
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "journal")
    ...     Journal(path).write(epoch=1, loss=0.5)
    ...     Tail(path).read()
    [{'epoch': 1, 'loss': 0.5}]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def write(self, **fields: Any) -> None:
        """Append one line.  Floats keep their exact value."""
        with open(self.path, "a") as file:  # one write call: lines of several writers don't mix
            file.write(json.dumps(fields) + "\n")


class Tail:
    """The reading end: remembers how far it has read."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.position = Path(path), 0

    def read(self) -> list[dict[str, Any]]:
        """Whole lines that were written since the last call; none where there is no file yet."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.position)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]  # a line that is being written waits for the next call
        self.position += len(whole)
        return [json.loads(line) for line in whole.splitlines()]
