import copy
import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import Function, op
from nbgrad.autograd.buffers import is_sole
from nbgrad.autograd.sparse import SparseArray, add_rows, densified
from nbgrad.errors import DtypeError, ShapeError


def random(seed, shape, n_sparse, n, dtype=np.float64):
    """n places, some of them twice."""
    rng = np.random.default_rng(seed)
    indices = np.array([rng.integers(0, length, n) for length in shape[:n_sparse]], np.int64)
    return SparseArray(indices, rng.standard_normal((n, *shape[n_sparse:])).astype(dtype), shape)


def dense(x):
    """The whole array, added place by place."""
    total = np.zeros(x.shape, x.dtype)
    for place, value in zip(x.indices.T, x.values):
        total[tuple(place)] += value
    return total


FORMS = st.sampled_from([((5, 3), 1), ((3, 4), 2), ((2, 3, 2), 2), ((4,), 1), ((3, 0), 1)])


@given(st.integers(0, 1000), FORMS, st.integers(0, 9), st.integers(0, 9))
def test_as_dense_arrays(seed, form, n, m):
    x, y = random(seed, *form, n), random(seed + 1, *form, m)
    a, b = dense(x), dense(y)
    for found, expected in [
        (x, a),
        (x.coalesce(), a),
        (x + y, a + b),
        (x.coalesce() + y.coalesce(), a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x * b, a * b),
        (b * x, a * b),
        (x * 2, a * 2),
        (np.float64(2) * x, a * 2),
        (x * np.array(2.0), a * 2),
        (x / 4, a / 4),
        (-x, -a),
        (x.astype(np.float32), a.astype(np.float32)),
        (x.only(slice(0)), a * 0),
    ]:
        assert isinstance(found, SparseArray)
        np.testing.assert_allclose(found.to_dense(), expected, atol=1e-6)
        assert found.shape == a.shape
    np.testing.assert_allclose(x + b, a + b)
    np.testing.assert_allclose(b - x, b - a)
    np.testing.assert_allclose(x.at(y), b[tuple(y.indices)] * 0 + a[tuple(y.indices)])


def test_coalesced_places_are_sorted_and_single():
    x = SparseArray(np.array([[2, 0, 2], [1, 0, 1]]), np.array([1.0, 2.0, 3.0]), (3, 2)).coalesce()
    assert x.indices.tolist() == [[0, 2], [0, 1]]
    assert x.values.tolist() == [2, 4]
    assert x.is_coalesced
    assert x.coalesce() is x
    assert (x + x).is_coalesced
    assert (x + x).indices is x.indices  # the same places: values are added


def test_sums_do_not_grow_for_ever():
    total = random(0, (5, 2), 1, 4)
    for seed in range(20):
        total = total + random(seed, (5, 2), 1, 4)
    assert total.values.shape[0] <= 9


def test_integers():
    x = SparseArray(np.array([[1, 1]]), np.array([2, 3]), (3,))
    assert x.to_dense().tolist() == [0, 5, 0]
    assert x.coalesce().values.tolist() == [5]


def test_what_it_is():
    x = random(0, (5, 3), 1, 4, np.float32)
    assert (x.dtype, x.ndim, x.size, x.itemsize, x.nbytes) == (np.float32, 2, 15, 4, 4 * 8 + 48)
    assert (x.n_sparse, x.columns) == (1, 3)
    assert repr(x) == "SparseArray(4 places of shape (5, 3), float32)"


def test_twins():
    x = random(0, (5, 3), 1, 4)
    for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), x.copy(), x.of_parts(*x.parts())):
        assert (twin.shape, twin.is_coalesced) == (x.shape, False)
        np.testing.assert_array_equal(twin.indices, x.indices)
        np.testing.assert_array_equal(twin.values, x.values)


@pytest.mark.parametrize(
    "use", [np.asarray, np.exp, np.sum, lambda x: x.flags, lambda x: np.stack([x, x]), len]
)
def test_it_is_never_taken_for_an_ndarray(use):
    with pytest.raises((TypeError, AttributeError)):
        use(random(0, (5, 3), 1, 4))


def test_shapes_that_do_not_fit():
    x = random(0, (5, 3), 1, 4)
    for use in (lambda: x + np.ones(3), lambda: x * np.ones((5, 1)), lambda: x.add_to(np.ones(5))):
        with pytest.raises(ShapeError, match=r"\(5, 3\)"):
            use()
    with pytest.raises(DtypeError, match="scalar"):
        x / np.ones((5, 3))


def test_sole_ownership():
    x = random(0, (5, 3), 1, 4)
    x = x.like(x.values.copy())
    assert is_sole(x, 1)
    kept = x.values
    assert not is_sole(x, 1)
    del kept
    other = x
    assert not is_sole(x, 1)
    del other
    x = x.like(x.values[:])
    assert not is_sole(x, 1)


def test_add_rows_of_other_dtypes_and_layouts():
    total = np.zeros((3, 2))
    add_rows(np.ones((2, 4))[:, ::2], np.array([2, 2], np.int32), total, 2)
    add_rows(np.ones((1, 2), np.float32), np.array([0]), total, 2)
    assert total.tolist() == [[1, 1], [0, 0], [2, 2]]
    into = np.zeros((3, 5)).T
    random(0, (5, 3), 1, 4).add_to(into)
    np.testing.assert_allclose(into, dense(random(0, (5, 3), 1, 4)))


def test_densified():
    x = random(0, (5, 3), 1, 4)
    np.testing.assert_array_equal(densified(x), x.to_dense())
    assert densified(np.ones(3)) is None
    assert densified([None, np.ones(3)]) is None
    assert [type(part) for part in densified([None, x])] == [type(None), np.ndarray]


# ---------------------------------------------------------------- in the engine


@op
def chosen(x, rows):
    """Rows of a matrix, with a row-sparse cotangent."""
    return x[rows], (rows, x.shape)


@chosen.vjp
def chosen(residuals, g):
    rows, shape = residuals
    return (SparseArray(rows.reshape(1, -1), g, shape),)


ROWS = np.array([1, 1, 3])


def leaf():
    return nb.tensor(np.arange(8.0).reshape(4, 2), requires_grad=True)


def test_a_leaf_holds_a_sparse_gradient():
    x = leaf()
    chosen(x, ROWS).sum().backward()
    assert x.grad.is_sparse
    assert x.grad.array.to_dense().tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]
    kept = x.grad
    chosen(x, ROWS[1:]).sum().backward()
    assert x.grad is kept
    assert x.grad.array.to_dense().tolist() == [[0, 0], [3, 3], [0, 0], [2, 2]]
    x.sum().backward()
    assert x.grad is kept
    assert not x.grad.is_sparse
    chosen(x, ROWS).sum().backward()
    assert x.grad.tolist() == [[1, 1], [6, 6], [1, 1], [4, 4]]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)])
def test_sums_within_a_pass(order):
    x = leaf()
    uses = [
        lambda: chosen(x, ROWS).sum(),
        lambda: chosen(x, ROWS[2:]).sum(),
        lambda: (x * 2).sum(),
        lambda: x.sum(),
    ]
    sum([uses[k]() for k in order], nb.zeros(())).backward()
    assert x.grad.tolist() == [[3, 3], [5, 5], [3, 3], [5, 5]]


def test_vjps_that_do_not_know_it_get_it_dense():
    x = leaf()
    y = (x.reshape(2, 4) * 3.0).reshape(4, 2)
    chosen(y, ROWS).sum().backward()
    assert x.grad.tolist() == [[0, 0], [6, 6], [0, 0], [3, 3]]


def test_a_vjp_that_fails_dense_too():
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        chosen(Bad.apply(leaf()), ROWS).sum().backward()


def test_hooks_and_functions_see_sparse_tensors():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            seen.append(g.is_sparse)
            return g

    seen = []
    x = leaf()
    y = Same.apply(x)
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.is_sparse))
    x.register_hook(lambda g: nb.Tensor(g.array * 2))
    chosen(y, ROWS).sum().backward(retain_graph=True)
    assert seen == [True, True]
    assert x.grad.array.to_dense().tolist() == [[0, 0], [4, 4], [0, 0], [2, 2]]
    chosen(y, ROWS).sum().backward()
    assert y.grad.array.to_dense().tolist() == [[0, 0], [4, 4], [0, 0], [2, 2]]


def test_a_number_as_cotangent_becomes_an_array():
    @op
    def careless(x):
        return x + np.zeros(()), None

    @careless.vjp
    def careless(residuals, g):
        return (g * 2,)  # NumPy makes a number of a product of arrays without dimensions

    x = nb.tensor(1.0, requires_grad=True)
    careless(x).backward()
    assert type(x.grad.array) is np.ndarray
    assert not x.grad.is_sparse


def test_the_gradient_is_nobody_elses_memory():
    x = leaf()
    g = nb.ones(3, 2, dtype=nb.float64)
    y = chosen(x, ROWS)
    y.backward(g)
    x.grad.array.values[...] = 5
    assert g.tolist() == [[1, 1]] * 3


def test_ops_without_a_sparse_form_say_so():
    x = nb.Tensor(random(0, (5, 3), 1, 4), True)
    for use in (nb.exp, lambda x: x[0], nb.argmax, lambda x: x + 1):
        with pytest.raises(DtypeError, match="to_dense"):
            use(x)
    with pytest.raises(DtypeError, match="make it sparse"):
        nb.cat([nb.ones(1, 3), x], 1)
    with pytest.raises(DtypeError, match="Sparse layout"):
        x.detach().numpy()
