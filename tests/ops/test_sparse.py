import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd.sparse import SparseArray
from nbgrad.errors import DtypeError, GraphError, ShapeError
from nbgrad.ops.sparse import masked

INDICES, VALUES = [[0, 1, 1, 1], [2, 0, 2, 2]], [3.0, 4.0, 5.0, 6.0]
DENSE = [[0, 0, 3], [4, 0, 11]]


def example(requires_grad=True):
    """One place occurs twice."""
    return nb.sparse_coo_tensor(
        INDICES, VALUES, (2, 3), dtype=nb.float64, requires_grad=requires_grad
    )


def test_made():
    x = example()
    assert x.is_sparse
    assert x.is_leaf
    assert (x.shape, x.dtype, x.ndim, x.numel()) == ((2, 3), np.float64, 2, 6)
    assert (x.sparse_dim(), x.dense_dim(), x._nnz(), x.is_coalesced()) == (2, 0, 4, False)
    assert x._indices().tolist() == INDICES
    assert x._values().tolist() == VALUES
    assert x.to_dense().tolist() == DENSE
    assert nb.sparse_coo_tensor([[1, 3]], [[1, 2], [3, 4]]).shape == (4, 2)
    assert nb.sparse_coo_tensor([[], []], [], (2, 2)).to_dense().tolist() == [[0, 0], [0, 0]]


def test_taken_apart():
    x = example(False)
    for method in (x.indices, x.values):
        with pytest.raises(GraphError, match="uncoalesced"):
            method()
    y = x.coalesce()
    assert y.coalesce() is y
    assert y.is_coalesced()
    assert y.indices().tolist() == [[0, 1, 1], [2, 0, 2]]
    assert y.values().tolist() == [3, 4, 11]
    for use in (lambda x: x.coalesce(), lambda x: x._values(), lambda x: x.is_coalesced()):
        with pytest.raises(DtypeError, match="to_sparse"):
            use(nb.ones(2))


@pytest.mark.parametrize(
    ("match", "arguments"),
    [
        ("same nnz", ([[0, 1]], [1.0])),
        ("same nnz", ([0, 1], [1.0, 2.0])),
        ("same nnz", ([[0]], 1.0)),
        ("inconsistent", ([[0, 5]], [1.0, 2.0], (3,))),
        ("inconsistent", ([[0, -1]], [1.0, 2.0], (3,))),
        ("does not fit", ([[0, 1]], [1.0, 2.0], (3, 2))),
        ("does not fit", ([[0, 1]], [[1.0], [2.0]], (3, 2))),
    ],
)
def test_what_does_not_fit_together(match, arguments):
    with pytest.raises(ShapeError, match=match):
        nb.sparse_coo_tensor(*arguments)


def test_dtypes_that_can_not_be():
    with pytest.raises(DtypeError, match="int tensor"):
        nb.sparse_coo_tensor([[0.5]], [1.0])
    with pytest.raises(DtypeError, match="floating point"):
        nb.sparse_coo_tensor([[0]], [1], requires_grad=True)


# ---------------------------------------------------------------- gradients


def test_values_get_the_gradient_of_their_place():
    values = nb.tensor(VALUES, requires_grad=True)
    w = nb.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    x = nb.sparse_coo_tensor(INDICES, values, (2, 3))
    (x.to_dense() * w).sum().backward()
    assert values.grad.tolist() == [3, 4, 6, 6]
    values.grad = None
    nb.sparse.sum(nb.sparse_coo_tensor(INDICES, values, (2, 3)) * w).backward()
    assert values.grad.tolist() == [3, 4, 6, 6]


def test_through_coalesced_values():
    x = example()
    (x.coalesce().values() * nb.tensor([1.0, 2.0, 3.0], dtype=nb.float64)).sum().backward()
    assert x.grad.is_sparse
    assert x.grad.to_dense().tolist() == [[0, 0, 1], [2, 0, 3]]


def test_to_dense_and_back():
    x = example()
    (x.to_dense() ** 2).sum().backward()
    assert x.grad.is_sparse
    assert x.grad.to_dense().tolist() == [[0, 0, 6], [8, 0, 22]]
    d = nb.tensor([[0.0, 5.0], [0.0, 0.0]], requires_grad=True)
    s = d.to_sparse()
    assert s.indices().tolist() == [[0], [1]]
    assert d.to_dense() is d
    assert s.to_sparse() is s
    nb.sparse.sum(s * 3).backward()
    assert d.grad.tolist() == [[0, 3], [0, 0]]
    rows = nb.tensor([[0, 0], [1, 2]]).to_sparse(1)
    assert rows.indices().tolist() == [[1]]
    assert rows.values().tolist() == [[1, 2]]
    with pytest.raises(ShapeError, match="sparse_dim"):
        d.to_sparse(3)


HYBRID = st.sampled_from([((2, 3), 2), ((4, 2), 1), ((2, 3, 2), 2), ((2, 2, 2), 3)])


@given(form=HYBRID, data=st.data())
def test_sums_over_dimensions(form, data):
    size, k = form
    dims = data.draw(st.lists(st.sampled_from(range(len(size))), min_size=1, unique=True))
    rng = np.random.default_rng(0)
    places = np.array([rng.integers(0, n, 4) for n in size[:k]])
    x = nb.sparse_coo_tensor(places, rng.standard_normal((4, *size[k:])), size, requires_grad=True)
    y = nb.sparse.sum(x, dims)
    assert y.is_sparse == any(axis not in dims for axis in range(k))
    expected = x.to_dense().array.sum(tuple(dims))
    np.testing.assert_allclose(y.to_dense().array, expected, atol=1e-12)
    w = nb.tensor(rng.standard_normal(expected.shape))
    (y.to_dense() * w).sum().backward()
    full = np.broadcast_to(np.expand_dims(w.array, tuple(sorted(dims))), size)
    places_of_x = masked(np.ones(size), x.array).to_dense()
    np.testing.assert_allclose(x.grad.to_dense().array, full * places_of_x, atol=1e-12)
    assert x.grad.is_sparse


def test_a_dense_cotangent_of_a_sparse_sum():
    x = example()
    y = nb.sparse.sum(x, 0)
    (y + nb.ones(3, dtype=nb.float64)).sum().backward()
    assert x.grad.to_dense().tolist() == [[0, 0, 1], [1, 0, 1]]
    assert nb.sparse.sum(x, dtype=nb.float32).dtype == np.float32
    with pytest.raises(DtypeError, match="this one is dense"):
        nb.sparse.sum(nb.ones(2))


def test_masked_takes_both_layouts():
    x = example().array
    g = np.arange(6.0).reshape(2, 3)
    other = SparseArray(np.array([[1, 0], [2, 0]]), np.array([7.0, 8.0]), (2, 3))
    assert masked(g, x).values.tolist() == [2, 3, 5]
    assert masked(other, x).values.tolist() == [0, 0, 7]
