import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.errors import DtypeError, ShapeError
from tests.arrays import arrays
from tests.ops.test_sparse import example


@given(y=arrays((3, 4)))
@pytest.mark.parametrize(
    ("product", "is_sparse"), [(nb.sparse.mm, True), (nb.mm, False), (nb.matmul, False)]
)
def test_products(product, is_sparse, y):
    x, d = example(), example(False).to_dense().requires_grad_()
    a, b = nb.tensor(y, requires_grad=True), nb.tensor(y, requires_grad=True)
    w = nb.tensor(np.random.default_rng(0).standard_normal((2, 4)))
    z = product(x, a)
    expected = nb.mm(d, b)
    np.testing.assert_allclose(z.array, expected.array, atol=1e-12)
    (z * w).sum().backward()
    (expected * w).sum().backward()
    np.testing.assert_allclose(a.grad.array, b.grad.array, atol=1e-12)
    assert x.grad.is_sparse == is_sparse
    places = (d.array != 0) if is_sparse else 1
    np.testing.assert_allclose(x.grad.to_dense().array, d.grad.array * places, atol=1e-12)


def test_vectors():
    x, v = example(), nb.tensor([1.0, 2.0, 3.0], dtype=nb.float64, requires_grad=True)
    y = nb.mv(x, v)
    assert y.tolist() == [9, 37]
    y.sum().backward()
    assert v.grad.tolist() == [4, 0, 14]
    assert x.grad.tolist() == [[1, 2, 3]] * 2


def test_freed_after_use():
    x = example()
    loss = nb.sparse.mm(x, nb.ones(3, 1, dtype=nb.float64)).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_mistakes():
    x = example()
    with pytest.raises(ShapeError, match="cannot be multiplied"):
        nb.sparse.mm(x, nb.ones(2, 2, dtype=nb.float64))
    with pytest.raises(DtypeError, match="same dtype"):
        nb.sparse.mm(x, nb.ones(3, 2))
    for use in (lambda: nb.sparse.mm(x, x), lambda: nb.ones(2, 2) @ x):
        with pytest.raises(DtypeError, match="sparse"):
            use()
