import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import ShapeError

RNG = np.random.default_rng(0)


def test_nearest():
    x = nb.tensor([[[1.0, 2.0, 3.0]]])
    assert F.interpolate(x, 5).flatten().tolist() == [1, 1, 2, 2, 3]
    assert F.interpolate(x, 5, mode="nearest-exact").flatten().tolist() == [1, 1, 2, 3, 3]
    assert F.interpolate(x, 2).flatten().tolist() == [1, 2]
    image = nb.arange(4.0).reshape(1, 1, 2, 2)
    assert F.interpolate(image, scale_factor=2)[0, 0].tolist() == [
        [0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3],
    ]  # fmt: skip


def test_a_line_stays_a_line():
    x = nb.tensor(np.linspace(0, 1, 5).reshape(1, 1, 5))
    y = F.interpolate(x, 9, mode="linear", align_corners=True).array.ravel()
    np.testing.assert_allclose(y, np.linspace(0, 1, 9))
    inner = F.interpolate(x, 10, mode="linear").array.ravel()[1:-1]
    np.testing.assert_allclose(np.diff(inner), 0.125)


def test_bilinear_is_linear_twice():
    x = RNG.standard_normal((2, 3, 4, 5))
    y = F.interpolate(nb.Tensor(x), (7, 3), mode="bilinear").array
    rows = F.interpolate(nb.Tensor(x.reshape(2, 12, 5)), 3, mode="linear").array.reshape(2, 3, 4, 3)
    both = F.interpolate(nb.Tensor(rows.transpose(0, 1, 3, 2).reshape(2, 9, 4)), 7, mode="linear")
    np.testing.assert_allclose(y, both.array.reshape(2, 3, 3, 7).transpose(0, 1, 3, 2))


# What torch.nn.functional.interpolate of PyTorch 2.13 gives for [0, 1, 4, 9], by mode, align_corners and length.
TORCH = {
    ("linear", False): ([0.0, 0.5, 1.5, 3.5, 6.5, 9.0], [0.16666667, 2.5, 8.16666667]),
    ("linear", True): ([0.0, 0.6, 1.6, 3.4, 6.0, 9.0], [0.0, 2.5, 9.0]),
    ("bicubic", False): ([-0.08680556, 0.21875, 1.43055556, 3.15277778, 6.78125, 9.43402778],
                         [0.09143519, 2.125, 8.33449074]),
    ("bicubic", True): ([0.0, 0.288, 1.504, 3.016, 6.264, 9.0], [0.0, 2.125, 9.0]),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "align_corners"), TORCH)
def test_values_of_pytorch(mode, align_corners):
    x = nb.tensor(np.array([0.0, 1.0, 4.0, 9.0]).reshape(1, 1, 4))
    for length, values in zip((6, 3), TORCH[mode, align_corners]):
        size = length
        if mode == "bicubic":  # images of two rows that are equal
            x, size = x.reshape(1, 1, -1, 4)[:, :, :1].expand(1, 1, 2, 4), (2, length)
        y = F.interpolate(x, size, mode=mode, align_corners=align_corners)
        np.testing.assert_allclose(y.array[0, 0].reshape(-1, length)[0], values, atol=1e-8)


def test_cubic_weights_sum_to_one_and_keep_elements():
    x = nb.Tensor(RNG.standard_normal((1, 1, 4, 5)))
    ones = F.interpolate(nb.ones(1, 1, 4, 5, dtype=nb.float64), (9, 2), mode="bicubic")
    np.testing.assert_allclose(ones.array, 1)
    same = F.interpolate(x, (4, 5), mode="bicubic", align_corners=True)
    np.testing.assert_allclose(same.array, x.array, atol=1e-14)


def test_area_is_adaptive_pooling():
    x = nb.Tensor(RNG.standard_normal((1, 2, 5, 7)))
    np.testing.assert_allclose(
        F.interpolate(x, (2, 3), mode="area").array, F.adaptive_avg_pool2d(x, (2, 3)).array
    )


def test_mistakes():
    x = nb.ones(1, 1, 4)
    for options, words in (
        ({}, "only one of size"),
        ({"size": 2, "scale_factor": 2}, "only one of size"),
        ({"size": 2, "mode": "bilinear"}, "needs 4D input"),
        ({"size": 2, "mode": "lanczos"}, "mode is one of"),
        ({"size": 2, "align_corners": True}, "align_corners option"),
    ):
        with pytest.raises(ValueError, match=words):
            F.interpolate(x, **options)
    with pytest.raises(ShapeError, match="same number of spatial"):
        F.interpolate(x, (2, 2))
    with pytest.raises(ShapeError, match="greater than 0"):
        F.interpolate(x, scale_factor=0.1)
