"""Is B slower than A, and by how much?  Statistics over blocks that were measured in turn.

A machine with other work on it changes its speed by half within a second, so times are only compared inside a
*round*: one block of each side, in random order, within milliseconds.  The round's log-ratio is what counts; the
median over the rounds is the answer, its bootstrap interval says how sure it is, and the same figure of A against A
says what this machine's noise makes of no difference at all.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 2000


@dataclass(frozen=True)
class Comparison:
    """How many times longer `other` takes than `ours`: the median over rounds, its interval, and the noise floor."""

    ratio: float
    low: float
    high: float
    again: float  # ours against ours, in the same rounds: what the ratio is when nothing differs


def interval(values, level=0.95, seed=0):
    """Bootstrap interval of the median of `values`, shape (rounds,): a pair (low, high)."""
    values = np.asarray(values, float)
    draws = np.random.default_rng(seed).integers(0, values.size, (DRAWS, values.size))
    tails = [50 * (1 - level), 50 * (1 + level)]
    low, high = np.percentile(np.median(values[draws], axis=1), tails)
    return float(low), float(high)


def compare(ours, other, again):
    """Compare block times, each of shape (rounds,) and in the same unit; row k was measured within one round."""
    ours, other, again = (np.log(np.asarray(x, float)) for x in (ours, other, again))
    low, high = interval(other - ours)
    return Comparison(
        ratio=float(np.exp(np.median(other - ours))),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        again=float(np.exp(np.median(again - ours))),
    )


@dataclass(frozen=True)
class Summary:
    """Median, 99th percentile, maximum and number of samples; all in the unit of the samples."""

    median: float
    p99: float
    max: float
    n: int


def summary(samples):
    """Summarize the samples of one side, shape (samples,)."""
    samples = np.asarray(samples, float)
    return Summary(
        median=float(np.median(samples)),
        p99=float(np.percentile(samples, 99)),
        max=float(samples.max()),
        n=samples.size,
    )


@dataclass(frozen=True)
class Slope:
    """Mean change from one value of a series to the next, with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """Whether the series may just as well not change at all."""
        return self.low <= 0.0 <= self.high


def slope(values, level=0.95, seed=0):
    """Slope of a series, shape (n,), by bootstrap over its changes.

    A least-squares line would call a series that takes one step of a page and then stays "rising"; here a change counts
    by how many of the others are like it.
    """
    changes = np.diff(np.asarray(values, float))
    draws = np.random.default_rng(seed).integers(0, changes.size, (DRAWS, changes.size))
    tails = [50 * (1 - level), 50 * (1 + level)]
    low, high = np.percentile(changes[draws].mean(axis=1), tails)
    return Slope(float(changes.mean()), float(low), float(high))
