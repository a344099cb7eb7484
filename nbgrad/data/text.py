"""A text to model character by character: the reference topics of the Python that runs, which needs no download.

`pydoc_data.topics` is a part of CPython (PSF License Version 2) and is read from there, not shipped with nbgrad: 465,126
characters of 103 kinds in Python 3.11, a little different in others.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbgrad.errors import ShapeError

HELD_OUT = 0.1  # part of the text, at its end
SHORTEST = 2000  # characters of a text of the user
SMOOTHING = {1: 1.0, 2: 0.1, 3: 0.02}  # added to each count of `ngram_bits`, by n


@dataclass(frozen=True)
class Text:
    """Characters as numbers, in a part to train on and a part held out."""

    alphabet: str  #: character k has number k
    train: np.ndarray  #: int64, shape (n,)
    held_out: np.ndarray  #: int64, shape (m,)

    def spell(self, numbers: np.ndarray) -> str:
        """Numbers as characters again."""
        return "".join(self.alphabet[k] for k in numbers)


def text(path: str | Path | None = None) -> Text:
    """Load the text; its last tenth is held out.

    Parameters
    ----------
    path : str or Path, optional
        A file with another text, in UTF-8.

    Returns
    -------
    Text
        Fresh arrays.

    Raises
    ------
    OSError, UnicodeDecodeError
        If the file can't be read.
    ShapeError
        If it has fewer than 2,000 characters.

    Examples
    --------
    >>> from nbgrad.data import text
    >>> found = text()
    >>> "assert" in found.spell(found.train[:4000])
    True
    """
    if path is None:
        from pydoc_data import topics  # 0.5 MB, read only when it is asked for

        whole = "".join(topics.topics[name] for name in sorted(topics.topics))
    else:
        whole = Path(path).read_text("utf-8")
        if len(whole) < SHORTEST:
            raise ShapeError(
                f"{path} has {len(whole)} characters; at least {SHORTEST} are wanted, to learn from and to test on"
            )
    alphabet = "".join(sorted(set(whole)))
    number = {character: k for k, character in enumerate(alphabet)}
    numbers = np.array([number[character] for character in whole], np.int64)
    cut = int(len(numbers) * (1 - HELD_OUT))
    return Text(alphabet, numbers[:cut], numbers[cut:])


def ngram_bits(found: Text, n: int) -> float:
    """Bits per held-out character of the model that counts n-grams in the text to train on; n is 1, 2 or 3.

    Examples
    --------
    >>> from nbgrad.data.text import ngram_bits, text
    >>> found = text()
    >>> ngram_bits(found, 1) > ngram_bits(found, 2) > ngram_bits(found, 3)
    True
    """
    k = len(found.alphabet)
    length = k ** (n - 1)

    def codes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        before = np.zeros(len(x) - n + 1, np.int64)
        for j in range(n - 1):
            before = before * k + x[j : len(x) - n + 1 + j]
        return before, x[n - 1 :]

    before, after = codes(found.train)
    pairs = np.bincount(before * k + after, minlength=length * k).astype(float)
    totals = np.bincount(before, minlength=length)
    before, after = codes(found.held_out)
    more = SMOOTHING[n]
    p = (pairs[before * k + after] + more) / (totals[before] + more * k)
    return float(-np.log2(p).mean())
