"""How far cars of the seventies go on a gallon: a small real table that ships with nbgrad.

Licence, source and what was changed stand in files/cars.txt; tools/make_cars.py made the file.
"""

from pathlib import Path

import numpy as np

from nbgrad.data.table import Table

FILE = Path(__file__).parent / "files" / "cars.npz"
TARGET = "mpg"


def cars() -> Table:
    """Load the 392 cars: cylinders, displacement, power, weight, acceleration, year, origin, and miles per gallon.

    The split was drawn once with seed 0 and is stored in the file.

    Returns
    -------
    Table
        Fresh arrays, which the caller may change.

    References
    ----------
    Quinlan 1993, Auto MPG, UCI Machine Learning Repository (CC BY 4.0).

    Examples
    --------
    >>> from nbgrad.data import cars
    >>> data = cars()
    >>> data.train_x.shape, data.test_x.shape, data.target
    ((314, 9), (78, 9), 'mpg')
    >>> data.inputs[:4]
    ('cylinders', 'displacement_cu_in', 'horsepower', 'weight_lb')
    """
    with np.load(FILE, allow_pickle=False) as parts:
        return Table(
            tuple(parts["inputs"].tolist()),
            TARGET,
            parts["train_x"],
            parts["train_y"],
            parts["test_x"],
            parts["test_y"],
        )
