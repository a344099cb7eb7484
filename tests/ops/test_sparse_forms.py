"""Each form against the dense operation: values, gradients, and which gradients are sparse."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import DtypeError, ShapeError

D = nb.tensor(np.arange(1.0, 7.0).reshape(2, 3))


def pair(requires_grad=True, dtype=nb.float64):
    """Two tensors with some places in common, one of them twice."""
    x = nb.sparse_coo_tensor(
        [[0, 1, 1, 1], [2, 0, 2, 2]], [3.0, 4.0, 5.0, 6.0], (2, 3), dtype=dtype
    )
    y = nb.sparse_coo_tensor([[0, 1, 1], [2, 1, 2]], [0.5, 1.5, 2.5], (2, 3), dtype=nb.float64)
    return [z.detach().requires_grad_(requires_grad) for z in (x, y)]


# name: (function of x and y, layout of the result, layouts of the gradients): S sparse, D dense, - none
FORMS = {
    "add": (lambda x, y: x + y, "S", "SS"),
    "sub": (lambda x, y: x - y, "S", "SS"),
    "mul": (lambda x, y: x * y, "S", "SS"),
    "number": (lambda x, y: 2 * x * 3.0, "S", "S-"),
    "number of one element": (lambda x, y: x * D[0, 1], "S", "S-"),
    "div": (lambda x, y: x / 4, "S", "S-"),
    "neg": (lambda x, y: -x, "S", "S-"),
    "clone": (lambda x, y: x.clone(), "S", "S-"),
    "cast": (lambda x, y: x.float(), "S", "S-"),
    "square": (lambda x, y: x * x, "S", "S-"),
    "with dense": (lambda x, y: x * D, "S", "S-"),
    "dense and": (lambda x, y: D * x, "S", "S-"),
    "plus dense": (lambda x, y: x + D, "D", "D-"),
    "dense plus": (lambda x, y: D + x, "D", "D-"),
    "dense minus": (lambda x, y: D - x, "D", "D-"),
    "stack": (lambda x, y: nb.stack([x, y]), "S", "SS"),
    "stack 1": (lambda x, y: nb.stack([x, y], 1), "S", "SS"),
    "stack -1": (lambda x, y: nb.stack([x, y], -1), "S", "SS"),
    "cat": (lambda x, y: nb.cat([x, y, x], 1), "S", "SS"),
    "reshape": (lambda x, y: x.reshape(3, -1) + y.reshape(3, 2), "S", "SS"),
    "total": (lambda x, y: x.sum(), "D", "D-"),
    "long": (lambda x, y: x * y * (x * y + (x + y)), "S", "SS"),
    "dense in the end": (lambda x, y: nb.stack([x, y]).to_dense() * 2, "D", "SS"),
    "stack, dense": (lambda x, y: nb.stack([x, y]) + nb.stack([D, D]), "D", "DD"),
}


@pytest.mark.parametrize("name", FORMS)
def test_as_the_dense_operation(name):
    function, layout, bars = FORMS[name]
    sparse = pair()
    dense = [x.detach().to_dense().requires_grad_() for x in sparse]
    z, expected = function(*sparse), function(*dense)
    assert z.is_sparse == (layout == "S")
    np.testing.assert_allclose(z.to_dense().array, expected.array)
    assert z.dtype == expected.dtype
    (nb.sparse.sum(z) if z.is_sparse else z.sum()).backward()
    if z.is_sparse:  # the cotangent of a sparse sum has the places of the result
        there = nb.Tensor((z.detach().to_dense().array != 0).astype(z.dtype))
        (expected * there).sum().backward()
    else:
        expected.sum().backward()
    for x, d, bar in zip(sparse, dense, bars):
        if bar == "-":
            assert x.grad is None
            continue
        assert x.grad.is_sparse == (bar == "S")
        assert x.grad.dtype == x.dtype
        places = (d.array != 0) if name == "dense in the end" else 1
        np.testing.assert_allclose(x.grad.to_dense().array, d.grad.array * places)


def test_dense_factors_get_gradients():
    x, _ = pair(False)
    d = nb.tensor(D.array, requires_grad=True)
    nb.sparse.sum(x * d).backward()
    assert d.grad.is_sparse
    assert d.grad.to_dense().tolist() == [[0, 0, 3], [4, 0, 11]]
    c = nb.tensor(2.0, dtype=nb.float64, requires_grad=True)
    nb.sparse.sum(x * c).backward()
    assert c.grad.item() == 18


def test_mixed_dtypes():
    x, y = pair(dtype=nb.float32)
    for z in (x + y, x - y, x * y):
        x.grad = y.grad = None
        assert z.dtype == np.float64
        nb.sparse.sum(z).backward()
        assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


def test_nodes_are_called_as_those_of_dense_tensors():
    x, y = pair()
    assert repr((x + y).grad_fn) == "<AddBackward0>"
    assert repr(x.clone().grad_fn) == "<CloneBackward0>"


def test_freed_after_use():
    x, y = pair()
    loss = nb.sparse.sum(x * y)
    loss.backward(retain_graph=True)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_rows_keep_their_dense_dimension():
    x = nb.sparse_coo_tensor([[1, 3]], [[1.0, 2.0], [3.0, 4.0]], (4, 2), requires_grad=True)
    y = x.reshape(2, 2, 2)
    assert (y.sparse_dim(), y.dense_dim()) == (2, 1)
    nb.sparse.sum(y * y).backward()
    assert x.grad.to_dense().tolist() == [[0, 0], [2, 4], [0, 0], [6, 8]]
    with pytest.raises(ShapeError, match="must stay"):
        x.reshape(8)


def test_in_place():
    x, y = pair(False)
    values = x._values()
    x *= 2
    x /= 4
    assert x.to_dense().tolist() == [[0, 0, 1.5], [2, 0, 5.5]]
    assert values.tolist() == [3, 4, 5, 6]
    x += y
    assert x.to_dense().tolist() == [[0, 0, 2], [2, 1.5, 8]]
    x -= y
    x.zero_()
    assert not x.to_dense().array.any()
    d = D.clone()
    d.add_(y, alpha=2)
    assert d.tolist() == [[1, 2, 4], [4, 8, 11]]
    d -= y
    with pytest.raises(DtypeError, match="dense tensor by a sparse one"):
        d *= y


@pytest.mark.parametrize(
    ("error", "match", "use"),
    [
        (DtypeError, "add.sparse, number", lambda x, y: x + 1),
        (DtypeError, "sub.sparse, number", lambda x, y: 1 - x),
        (DtypeError, "scalar", lambda x, y: x / D),
        (DtypeError, "divisor", lambda x, y: x / nb.ones((), requires_grad=True)),
        (DtypeError, "nb.sparse.sum", lambda x, y: x.sum(0)),
        (DtypeError, "this one is dense", lambda x, y: nb.cat([x, D])),
        (ShapeError, "must be equal", lambda x, y: x + D[0]),
        (ShapeError, "must be equal", lambda x, y: x * D[0]),
        (ShapeError, "dimension 0", lambda x, y: nb.cat([x, y.reshape(3, 2)])),
        (DtypeError, "does not take sparse", lambda x, y: x.exp()),
    ],
)
def test_mistakes(error, match, use):
    with pytest.raises(error, match=match):
        use(*pair())
