"""The optical handwritten digits of the UCI repository: a small real data set that ships with nbgrad.

Licence, source and what was changed stand in files/digits.txt; tools/make_digits.py made the file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "files" / "digits.npz"
MAX_PIXEL = 16  # a pixel counts the dots of a 4 x 4 block


@dataclass(frozen=True)
class Digits:
    """Images of digits with their labels, split into a part to train on and a part to test on."""

    train_x: np.ndarray  #: float32, shape (1437, 64): rows of 8 x 8 pixels in [0, 1], 0 is paper
    train_y: np.ndarray  #: int64, shape (1437,): the digit, 0..9
    test_x: np.ndarray  #: float32, shape (360, 64)
    test_y: np.ndarray  #: int64, shape (360,)


def digits() -> Digits:
    """Load the 1,797 handwritten digits, 8 x 8 pixels each.

    The split is stratified by digit, was drawn once with seed 0 and is stored in the file: an
    accuracy on `test_x` means the same images everywhere.

    Returns
    -------
    Digits
        Fresh arrays, which the caller may change.

    References
    ----------
    Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository (CC BY 4.0).

    Examples
    --------
    >>> from nbgrad.data import digits
    >>> data = digits()
    >>> data.train_x.shape, data.test_x.shape
    ((1437, 64), (360, 64))
    >>> data.test_y[:5].tolist()
    [0, 7, 4, 0, 2]
    """
    with np.load(FILE, allow_pickle=False) as parts:
        return Digits(
            images(parts["train_x"]),
            parts["train_y"].astype(np.int64),
            images(parts["test_x"]),
            parts["test_y"].astype(np.int64),
        )


def images(pixels: np.ndarray) -> np.ndarray:
    """Pixels as stored, 0..16, to float32 in [0, 1]; exact, since 16 is a power of two."""
    return pixels.astype(np.float32) / np.float32(MAX_PIXEL)
