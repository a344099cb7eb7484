import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError
from tests.arrays import SEEDS, values

CASES = [
    {},
    {"padding": 1},
    {"stride": 2},
    {"stride": (2, 1), "padding": (0, 2)},
    {"dilation": 2, "padding": 2},
    {"padding": "same"},
    {"padding": "valid"},
    {"stride": 3, "padding": 2, "dilation": (1, 2)},
]


def reference(x, w, b, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation, straight from its definition."""
    (sh, sw), (dh, dw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, dilation))
    kh, kw = w.shape[2:]
    if padding == "same":
        padding = (dh * (kh - 1) // 2, dw * (kw - 1) // 2)
    padding = 0 if padding == "valid" else padding
    ph, pw = padding if isinstance(padding, tuple) else (padding, padding)
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    oh = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    ow = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((len(x), len(w), oh, ow))
    cg, og = w.shape[1], len(w) // groups
    for o in range(len(w)):
        c = o // og * cg
        for i in range(oh):
            for j in range(ow):
                window = x[
                    :, c : c + cg, i * sh : i * sh + dh * kh : dh, j * sw : j * sw + dw * kw : dw
                ]
                y[:, o, i, j] = (window[:, :, :kh, :kw] * w[o]).sum((1, 2, 3)) + b[o]
    return y


@pytest.mark.parametrize("options", CASES, ids=str)
@given(seed=SEEDS)
def test_forward_and_vjp(options, seed):
    x, w, b = values((2, 2, 6, 5), seed), values((3, 2, 3, 3), seed + 1), values(3, seed + 2)
    y = F.conv2d(nb.Tensor(x), nb.Tensor(w), nb.Tensor(b), **options)
    np.testing.assert_allclose(y.array, reference(x, w, b, **options), atol=1e-12)
    assert check_vjp(F.conv2d, x, w, b, **options)


@pytest.mark.parametrize(("kernel", "groups"), [((1, 1), 1), ((1, 1), 2), ((3, 2), 2), ((6, 5), 1)])
def test_kernels_and_groups(kernel, groups):
    x, w, b = values((2, 4, 6, 5), 0), values((6, 4 // groups, *kernel), 1), values(6, 2)
    y = F.conv2d(nb.Tensor(x), nb.Tensor(w), nb.Tensor(b), groups=groups)
    np.testing.assert_allclose(y.array, reference(x, w, b, groups=groups), atol=1e-12)
    assert check_vjp(F.conv2d, x, w, b, groups=groups)
    assert check_vjp(F.conv2d, x, w, groups=groups)


def test_one_image_and_views():
    x, w = values((2, 6, 5), 0), values((3, 2, 3, 3), 1)
    assert F.conv2d(nb.Tensor(x), nb.Tensor(w)).shape == (3, 4, 3)
    assert check_vjp(F.conv2d, x, w)
    assert check_vjp(
        lambda a, b: F.conv2d(a.transpose(0, 1), b).transpose(0, 2), values((6, 2, 5), 0), w
    )


def test_float32_stays_close_to_float64():
    x, w = values((2, 3, 8, 8), 0), values((4, 3, 3, 3), 1)
    y = F.conv2d(nb.Tensor(x.astype(np.float32)), nb.Tensor(w.astype(np.float32)), padding=1)
    assert y.dtype == np.float32
    np.testing.assert_allclose(
        y.array, F.conv2d(nb.Tensor(x), nb.Tensor(w), padding=1).array, atol=1e-4
    )


def test_what_does_not_fit():
    x, w = nb.ones(1, 2, 5, 5), nb.ones(3, 2, 3, 3)
    with pytest.raises(ShapeError, match="to have 2 channels, but got 3 channels instead"):
        F.conv2d(nb.ones(1, 3, 5, 5), w)
    with pytest.raises(ShapeError, match="kernel size"):
        F.conv2d(nb.ones(1, 2, 2, 2), w)
    with pytest.raises(ShapeError, match="4D weight"):
        F.conv2d(x, nb.ones(3, 3))
    with pytest.raises(ShapeError, match="3D"):
        F.conv2d(nb.ones(3, 3), w)
    with pytest.raises(DtypeError, match="should be the same"):
        F.conv2d(x.double(), w)
    with pytest.raises(ShapeError, match="strided"):
        F.conv2d(x, w, padding="same", stride=2)
    with pytest.raises(ShapeError, match="odd"):
        F.conv2d(x, nb.ones(3, 2, 2, 2), padding="same")
