import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.errors import DtypeError, ShapeError

RNG = np.random.default_rng(0)


def drawn(*shapes):
    return [RNG.standard_normal(shape) for shape in shapes]


def conv1d_reference(x, w, b, stride, padding, dilation, groups):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
    n, _, length = x.shape
    o, cg, k = w.shape
    out = (length - dilation * (k - 1) - 1) // stride + 1
    y = np.zeros((n, o, out))
    for channel in range(o):
        first = channel // (o // groups) * cg
        for i in range(out):
            reach = slice(i * stride, i * stride + dilation * (k - 1) + 1, dilation)
            window = x[:, first : first + cg, reach]
            y[:, channel, i] = (window * w[channel]).sum((1, 2)) + b[channel]
    return y


@given(
    stride=st.integers(1, 3), padding=st.integers(0, 2), dilation=st.integers(1, 2), groups=st.sampled_from([1, 2])
)  # fmt: skip
def test_conv1d(stride, padding, dilation, groups):
    x, w, b = drawn((2, 4, 7), (6, 4 // groups, 3), (6,))
    y = F.conv1d(nb.Tensor(x), nb.Tensor(w), nb.Tensor(b), stride, padding, (dilation,), groups)
    np.testing.assert_allclose(
        y.array, conv1d_reference(x, w, b, stride, padding, dilation, groups), atol=1e-12
    )


def transposed_reference(x, w, b, stride, padding, extra, dilation, groups):
    """Each element of the input writes its filter into the result."""
    n, c, h, width = x.shape
    _, og, kh, kw = w.shape
    oh, ow = ((side - 1) * stride + dilation * (k - 1) + 1 + extra for side, k in ((h, kh), (width, kw)))  # fmt: skip
    y = np.zeros((n, og * groups, oh, ow))
    for channel in range(c):
        first = channel // (c // groups) * og
        for i in range(h):
            for j in range(width):
                for a, e in np.ndindex(kh, kw):
                    target = y[
                        :, first : first + og, i * stride + a * dilation, j * stride + e * dilation
                    ]
                    target += x[:, channel, i, j, None] * w[channel, :, a, e]
    return y[:, :, padding : oh - padding, padding : ow - padding] + b[:, None, None]


@given(
    stride=st.integers(1, 3), padding=st.integers(0, 1), extra=st.integers(0, 2), dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
)  # fmt: skip
def test_conv_transpose2d(stride, padding, extra, dilation, groups):
    extra = min(extra, stride - 1)
    x, w, b = drawn((2, 4, 3, 2), (4, 3, 2, 3), (3 * groups,))
    sizes = (stride, padding, extra, groups, dilation)
    y = F.conv_transpose2d(nb.Tensor(x), nb.Tensor(w), nb.Tensor(b), *sizes)
    np.testing.assert_allclose(
        y.array, transposed_reference(x, w, b, stride, padding, extra, dilation, groups), atol=1e-12
    )
    line = F.conv_transpose1d(nb.Tensor(x[:, :, 0]), nb.Tensor(w[:, :, 0]), nb.Tensor(b), *sizes)
    wide = transposed_reference(x[:, :, :1], w[:, :, :1], b * 0, stride, 0, 0, dilation, groups)
    length = wide.shape[-1] + extra
    wide = np.pad(wide[:, :, 0], ((0, 0), (0, 0), (0, extra)))[..., padding : length - padding]
    np.testing.assert_allclose(line.array, wide + b[:, None], atol=1e-12)


def test_it_is_the_gradient_of_a_convolution():
    x, w = nb.randn(2, 3, 6, 5, dtype=nb.float64, requires_grad=True), nb.randn(4, 3, 3, 2, dtype=nb.float64)  # fmt: skip
    y = F.conv2d(x, w, stride=2, padding=1)
    g = nb.randn(*y.shape, dtype=nb.float64)
    (x_bar,) = nb.autograd.grad(y, x, g)
    again = F.conv_transpose2d(g, w, stride=2, padding=1, output_padding=(1, 1))
    np.testing.assert_allclose(again.array[..., : x.shape[-2], : x.shape[-1]], x_bar.array)


def test_without_a_batch():
    assert F.conv1d(nb.ones(2, 5), nb.ones(3, 2, 2)).shape == (3, 4)
    assert F.conv_transpose2d(nb.ones(2, 3, 3), nb.ones(2, 1, 2, 2)).shape == (1, 4, 4)
    assert F.conv_transpose1d(nb.ones(2, 3), nb.ones(2, 1, 2)).shape == (1, 4)


def test_mistakes():
    x, w = nb.ones(1, 2, 3, 3), nb.ones(2, 1, 2, 2)
    for call, words in (
        (lambda: F.conv1d(x, nb.ones(1, 2, 2)), "conv1d: expected 2D"),
        (lambda: F.conv_transpose1d(x, nb.ones(1, 2, 2)), "conv_transpose1d: expected 2D"),
        (lambda: F.conv_transpose2d(x, nb.ones(2, 1, 2)), "4D weight"),
        (lambda: F.conv_transpose2d(x, nb.ones(3, 1, 2, 2)), "3 channels, but got 2"),
        (lambda: F.conv_transpose2d(x, w, output_padding=1), "smaller than stride"),
        (lambda: F.conv_transpose2d(x, w, padding=3), "leave -2 elements"),
    ):
        with pytest.raises(ShapeError, match=words):
            call()
    with pytest.raises(DtypeError, match="same dtype"):
        F.conv_transpose2d(x, w.double())
