"""Buckets: every element has one place, the last parameters come first, places begin at cache lines."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from nbgrad.parallel.buckets import FIRST_BYTES, divided, parts


@given(st.lists(st.integers(0, 500), min_size=1, max_size=12), st.integers(1, 2000))
def test_every_element_has_a_place(sizes, bucket_bytes):
    totals, places = divided(sizes, 4, bucket_bytes)
    buffers = [np.zeros(n, np.float32) for n in totals]
    views = parts(buffers, places, [(n,) for n in sizes])
    for view, n in zip(views, sizes):
        assert view.shape == (n,)
        view += 1
    assert sum(int(b.sum()) for b in buffers) == sum(sizes)
    assert all(b.max(initial=0) <= 1 for b in buffers)
    assert all(at.first % 16 == 0 for at in places)
    order = [at.bucket for at in places]
    assert order == sorted(order, reverse=True)
    assert order[-1] == 0


def test_the_first_bucket_is_small():
    n = FIRST_BYTES // 4
    totals, _ = divided([n // 2] * 10, 4, 25 * FIRST_BYTES)
    assert totals == [n, 4 * n]
