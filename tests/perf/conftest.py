"""perf/ is a folder of scripts, not a package: its files import each other by name."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "perf"))


@pytest.fixture
def session():
    """Fake timers: block times of `n` processes per side in `rounds` rounds."""

    def blocks(seed, slowdown, n=3, rounds=60, process_noise=0.01, block_noise=0.05):
        """Ours, the first `n` columns, are `slowdown` times slower; the machine changes its speed all the time."""
        rng = np.random.default_rng(seed)
        processes = rng.normal(0, process_noise, 2 * n)
        processes[:n] += np.log(slowdown)
        speed = rng.uniform(0, 0.7, (rounds, 1))
        interrupted = 2 * (rng.random((rounds, 2 * n)) < 0.03)
        return np.exp(processes + speed + rng.normal(0, block_noise, (rounds, 2 * n)) + interrupted)

    return blocks
