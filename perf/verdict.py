"""Regressed, improved, or can't tell: the verdict on one figure of two revisions.

Note [When a difference is named]
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
Two processes of the same code differ by a few percent for as long as they live (where their memory lies decides), so
blocks of one process are not independent draws; whole processes are.  Each side therefore runs in several processes,
and inside each round only differences to that round's median count.  A difference is named when

(a) it is separated: every process of one side is slower than every process of the other;
(b) it is worth naming: the medians differ by at least `min_effect`;
(c) it comes back: a second measurement, with new processes, more of them and more rounds, says the same.

Assumes     processes of both sides are started alike and in turn, so that without a difference any order of them is
            equally likely.
G1 (false alarms)   without a difference, (a) alone has probability 2/20 with 3 + 3 processes, whatever the noise
            looks like, and (c) after it 1/252 with 5 + 5: at most 1 in 2,500 per figure, 1 in 50 per run of 50 figures
            were noise always above (b).  It rarely is, which makes it far less.
G2 (power)  a difference above `min_effect` is found when it exceeds the spread of the processes on either side.
"""

from dataclasses import dataclass

import numpy as np

MIN_EFFECT = 0.025  # of the time; differences below are nobody's regression on a shared machine
REGRESSED, IMPROVED, CANT_TELL = "regressed", "improved", "can't tell"
DRAWS = 1000


@dataclass(frozen=True)
class Verdict:
    """What is known about one figure; `change` is ours / theirs - 1, so above 0 is slower than the other revision."""

    word: str
    change: float
    low: float
    high: float
    again: float  # the largest such change between two processes of one side


def judge(values, n_ours, n_figures=1, min_effect=MIN_EFFECT, seed=0):
    """Judge block times of one measurement: parts (a) and (b) of Note [When a difference is named].

    Parameters
    ----------
    values : array, shape (rounds, processes)
        Time of each block, any unit; the first `n_ours` columns are processes of ours.
    n_figures : int
        Figures judged together: the interval is at 95 % for all of them (Bonferroni).
    """
    logs = np.log(np.asarray(values, float))
    logs -= np.median(logs, axis=1, keepdims=True)  # a mean would move with one interrupted block
    middle = np.median(logs, axis=0)
    ours, theirs = middle[:n_ours], middle[n_ours:]
    change = np.median(ours) - np.median(theirs)
    spread = max(np.ptp(ours), np.ptp(theirs))
    separated = ours.min() > theirs.max() or ours.max() < theirs.min()
    low, high = spans(logs, n_ours, 0.05 / n_figures, seed)
    word = CANT_TELL
    if separated and abs(change) > np.log1p(min_effect):
        word = REGRESSED if change > 0 else IMPROVED
    return Verdict(word, *(float(np.expm1(x)) for x in (change, low, high, spread)))


def spans(logs, n_ours, alpha, seed):
    """Bootstrap interval of the change: processes of each side and rounds are drawn again."""
    rng = np.random.default_rng(seed)
    n_rounds, n = logs.shape
    middle = np.median(logs[rng.integers(0, n_rounds, (DRAWS, n_rounds))], axis=1)
    ours = np.take_along_axis(middle, rng.integers(0, n_ours, (DRAWS, n_ours)), 1)
    theirs = np.take_along_axis(middle, rng.integers(n_ours, n, (DRAWS, n - n_ours)), 1)
    changes = np.median(ours, axis=1) - np.median(theirs, axis=1)
    return np.percentile(changes, [50 * alpha, 100 - 50 * alpha])


def confirm(suspected, repeated):
    """Part (c): the second measurement decides what is said; the word stands only if both have it."""
    if suspected.word == repeated.word:
        return repeated
    return Verdict(CANT_TELL, repeated.change, repeated.low, repeated.high, repeated.again)
