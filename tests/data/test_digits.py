"""The digits that ship: sizes, ranges, the stratified split, and the very bytes."""

import hashlib

import numpy as np

from nbgrad.data.digits import FILE, digits


def test_shapes_dtypes_and_ranges():
    data = digits()
    for x, y, rows in [(data.train_x, data.train_y, 1437), (data.test_x, data.test_y, 360)]:
        assert x.shape == (rows, 64)
        assert y.shape == (rows,)
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert x.min() == 0.0
        assert x.max() == 1.0
        assert set(y) == set(range(10))


def test_split_is_stratified():
    data = digits()
    train, test = np.bincount(data.train_y), np.bincount(data.test_y)
    assert (train + test).tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]  # UCI's own
    assert np.abs(test - (train + test) * 360 / 1797).max() < 1


def test_no_image_stands_in_both_parts():
    data = digits()
    train = {row.tobytes() for row in data.train_x}
    assert not [row for row in data.test_x if row.tobytes() in train]


def test_content_is_the_one_that_accuracies_are_quoted_on():
    digest = hashlib.sha256()
    with np.load(FILE) as parts:
        for name in ("train_x", "train_y", "test_x", "test_y"):
            assert parts[name].dtype == np.uint8
            digest.update(parts[name].tobytes())
    assert digest.hexdigest() == "dfd74b200b085209972acfefd3dffaf3a60eb576cd7a7cb4aa5c4ea8721a6ba1"


def test_each_call_gives_arrays_of_its_own():
    first = digits()
    first.train_x[:] = 7
    assert digits().train_x.max() == 1.0


def test_licence_and_source_lie_beside_the_data():
    text = FILE.with_suffix(".txt").read_text()
    assert "CC BY 4.0" in text
    assert "10.24432/C50P49" in text
