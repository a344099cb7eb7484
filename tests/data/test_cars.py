"""The table that ships: sizes, ranges, and the very bytes."""

import hashlib

import numpy as np

from nbgrad.data.cars import FILE, cars


def test_shapes_and_ranges():
    data = cars()
    for x, y, rows in [(data.train_x, data.train_y, 314), (data.test_x, data.test_y, 78)]:
        assert x.shape == (rows, len(data.inputs))
        assert y.shape == (rows,)
        assert (x.dtype, y.dtype) == (np.float32, np.float32)
        assert np.isfinite(x).all()
        assert 9.0 <= y.min() < y.max() < 47.0
        assert (x[:, -3:].sum(axis=1) == 1.0).all()  # each comes from one place
    assert data.inputs[-3:] == ("origin=usa", "origin=europe", "origin=japan")


def test_heavy_cars_go_less_far():
    data = cars()
    weight = data.train_x[:, data.inputs.index("weight_lb")]
    assert np.corrcoef(weight, data.train_y)[0, 1] < -0.8


def test_no_row_stands_in_both_parts():
    data = cars()
    rows = [
        np.column_stack([x, y])
        for x, y in [(data.train_x, data.train_y), (data.test_x, data.test_y)]
    ]
    assert not {row.tobytes() for row in rows[0]} & {row.tobytes() for row in rows[1]}


def test_content_is_the_one_that_scores_are_quoted_on():
    digest = hashlib.sha256()
    with np.load(FILE) as parts:
        for name in ("train_x", "train_y", "test_x", "test_y"):
            digest.update(parts[name].tobytes())
    assert digest.hexdigest() == "6cd20baa403d472657df885d4b901bf4e08ea8526b24ebfdf9c891134a8821c9"


def test_licence_and_source_lie_beside_the_data():
    text = FILE.with_suffix(".txt").read_text()
    assert "CC BY 4.0" in text
    assert "10.24432/C5859H" in text
