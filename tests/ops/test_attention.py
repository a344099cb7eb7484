import numpy as np
import pytest

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def expected(q, k, v, mask=0.0, scale=None):
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale) + mask
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


SHAPES = [
    ((3, 2), (4, 2), (4, 5)),
    ((2, 3, 2), (2, 4, 2), (2, 4, 1)),
    ((2, 2, 3, 2), (2, 2, 3, 2), (2, 2, 3, 2)),
]


@pytest.mark.parametrize("shapes", SHAPES)
def test_values_and_gradients(shapes):
    arrays = [draw(*shape, seed=n) for n, shape in enumerate(shapes)]
    length, size = shapes[0][-2], shapes[1][-2]
    mask = np.tri(length, size, dtype=bool)
    added = np.where(mask, 0.0, -np.inf)
    tensors = [nb.Tensor(a) for a in arrays]
    attend = F.scaled_dot_product_attention
    np.testing.assert_allclose(attend(*tensors).array, expected(*arrays), atol=1e-12)
    np.testing.assert_allclose(
        attend(*tensors, scale=2.0).array, expected(*arrays, scale=2.0), atol=1e-12
    )
    for given in (
        {"attn_mask": nb.Tensor(mask)},
        {"attn_mask": nb.Tensor(added)},
        {"is_causal": True},
    ):
        np.testing.assert_allclose(
            attend(*tensors, **given).array, expected(*arrays, added), atol=1e-12
        )
        assert check_vjp(lambda *x, given=given: attend(*x, **given), *arrays)
    assert check_vjp(attend, *arrays)


def test_dropout_keeps_the_mean():
    nb.manual_seed(0)
    q, k, v = nb.zeros(1, 2), nb.zeros(1000, 2), nb.ones(1000, 1)
    found = [F.scaled_dot_product_attention(q, k, v, dropout_p=0.5).item() for _ in range(20)]
    assert np.mean(found) == pytest.approx(1.0, abs=0.05)
    assert len(set(found)) > 1


def test_mistakes():
    q, k = nb.ones(2, 3), nb.ones(2, 4)
    with pytest.raises(ShapeError, match="need the same last dimension"):
        F.scaled_dot_product_attention(q, k, k)
    with pytest.raises(ValueError, match="not both"):
        F.scaled_dot_product_attention(q, q, q, nb.ones(2, 2), is_causal=True)
    with pytest.raises(DtypeError, match="attn_mask is boolean"):
        F.scaled_dot_product_attention(q, q, q, nb.tensor([[1, 0], [0, 1]]))
