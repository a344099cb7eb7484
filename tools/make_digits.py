"""Make nbgrad/data/files/digits.npz from the copy of the data inside scikit-learn's wheel.

python tools/make_digits.py

The wheel is downloaded into a temporary folder and read as a zip; scikit-learn is neither installed nor
imported.  The split is drawn once, here: stratified, 1,437 / 360, from seed 0, and stored in the file,
so that everybody who quotes an accuracy quotes it on the same 360 images.
"""

import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[1] / "nbgrad" / "data" / "files" / "digits.npz"
MEMBER = "sklearn/datasets/data/digits.csv.gz"
N_TEST = 360
SEED = 0


def rows_of_wheel():
    """The table in the wheel: one image per row, 64 pixels of 0..16 and the digit."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary"]
        subprocess.run([*command, ":all:", "--dest", folder, "scikit-learn"], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            text = gzip.decompress(archive.read(MEMBER))
    return np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8)


def test_counts(counts, n_test):
    """How many of each class to test on: in proportion, rounded by largest remainder."""
    exact = counts * n_test / counts.sum()
    whole = np.floor(exact).astype(int)
    most_cut_off = np.argsort(whole - exact, kind="stable")[: n_test - whole.sum()]
    whole[most_cut_off] += 1
    return whole


def is_test(labels, n_test, seed):
    """Mask of the images to test on."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(len(labels), bool)
    for digit, count in enumerate(test_counts(np.bincount(labels), n_test)):
        mask[rng.choice(np.flatnonzero(labels == digit), count, replace=False)] = True
    return mask


if __name__ == "__main__":
    rows = rows_of_wheel()
    images, labels = rows[:, :64], rows[:, 64]
    mask = is_test(labels, N_TEST, SEED)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        FILE,
        train_x=images[~mask],
        train_y=labels[~mask],
        test_x=images[mask],
        test_y=labels[mask],
    )
    print(
        f"{FILE}: {np.sum(~mask)} training and {np.sum(mask)} test images, {FILE.stat().st_size} bytes"
    )
