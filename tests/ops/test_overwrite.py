import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nbgrad as nb
from nbgrad.autograd import check_double, check_vjp
from nbgrad.errors import DtypeError, GraphError, ShapeError
from nbgrad.ops.overwrite import places_in
from tests.arrays import SEEDS, arrays, values

VIEWS = {  # of a tensor of shape (3, 4)
    "all": lambda t: t,
    "row": lambda t: t[1],
    "columns": lambda t: t[:, ::2],
    "backwards": lambda t: t[::-1],
    "turned": lambda t: t.T,
    "flat": lambda t: t.view(-1),
    "view of a view": lambda t: t.T[1:].reshape(3, 3)[1],
    "diagonal": lambda t: t[:, :3].diagonal(),
    "piece": lambda t: t.split(2, 1)[1],
    "new axis": lambda t: t[:, None],
}
WRITES = {  # (view, w of shape (1,))
    "add_": lambda v, w: v.add_(w),
    "mul_": lambda v, w: v.mul_(w),
    "mul_ by itself": lambda v, w: v.mul_(v),
    "exp_": lambda v, w: v.mul_(0.1).exp_(),
    "div_": lambda v, w: v.div_(w * w + 1.0),
    "setitem": lambda v, w: v.__setitem__(0, w[0]),
    "copy_": lambda v, w: v.copy_(w),
    "fill_": lambda v, w: v.fill_(w[0]),
    "zero_": lambda v, w: v.zero_(),
    "tanh_": lambda v, w: v.tanh_(),
    "clamp_": lambda v, w: v.clamp_(-0.7, 0.7),
    "sub_": lambda v, w: v.sub_(w, alpha=2),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_write_through_a_view(view, write):
    def program(x, w):
        y = x * 2.0
        v = VIEWS[view](y)
        WRITES[write](v, w)
        return y * 1.5, v * 1.0, VIEWS[view](y).sum()

    x, w = values((3, 4), 0, gap=0.1), values((1,), 1, gap=0.3)
    assert check_vjp(program, x, w)
    assert check_double(program, x, w)


@given(data=st.data(), seed=SEEDS)
def test_programs_of_writes(data, seed):
    """Any sequence of writes through any views, against finite differences."""
    steps = data.draw(
        st.lists(st.tuples(st.sampled_from(list(VIEWS)), st.sampled_from(list(WRITES))), max_size=4)
    )
    constant = data.draw(st.booleans())

    def program(x, w):
        y = nb.zeros(3, 4, dtype=nb.float64) if constant else x * 1.0
        for view, write in steps:
            WRITES[write](VIEWS[view](y), w)
        return y + x

    assert check_vjp(program, values((3, 4), seed, gap=0.1), values((1,), seed, gap=0.3))


def test_memory_and_objects_stay():
    w = nb.ones(2, requires_grad=True)
    x = nb.zeros(2, 2)
    array, row = x.array, x[0]
    assert x[1].add_(w).requires_grad
    assert x.array is array
    assert x.requires_grad
    assert array.tolist() == [[0, 0], [1, 1]]
    row.add_(w)
    assert array.tolist() == [[1, 1], [1, 1]]
    x.sum().backward()
    assert w.grad.tolist() == [2, 2]


def test_buffers_filled_step_by_step():
    w = nb.tensor([2.0], requires_grad=True)
    h, out = nb.ones(1), nb.empty(5, 1)
    for t in range(5):
        h = h * w
        out[t] = h
    out.sum().backward()
    assert w.grad.item() == sum(k * 2.0 ** (k - 1) for k in range(1, 6))


def test_augmented_assignment_is_in_place():
    w = nb.ones(2, requires_grad=True)
    total = same = nb.zeros(2)
    for _ in range(3):
        total += w * 2.0
    total *= 2.0
    total /= 4.0
    total -= w
    total **= 2
    assert total is same
    total.sum().backward()
    assert w.grad.tolist() == [8, 8]


def test_leaves_and_their_views_are_refused():
    p = nb.ones(2, requires_grad=True)
    for write in WRITES.values():
        with pytest.raises(GraphError, match="a leaf Variable that requires grad is being used"):
            write(p, nb.ones(1))
        with pytest.raises(GraphError, match="a view of a leaf Variable that requires grad"):
            write(p.view(2, 1), nb.ones(1))
    with nb.no_grad():
        p.view(2, 1).mul_(3.0)
        p[0].exp_()
    assert p.tolist() == [pytest.approx(np.exp(3)), 3]
    assert p.requires_grad
    assert p.node is None
    p[[0, 1]].add_(1.0)  # a copy


def test_saved_results_are_protected():
    x = nb.ones(2, requires_grad=True)
    y = x.exp()
    z = y * 2.0
    y.add_(1.0)
    with pytest.raises(GraphError, match=r"'exp'.*'add_'"):
        (z + y).sum().backward()


def test_a_view_that_is_out_of_date():
    x = nb.ones(2, 2, requires_grad=True)
    y = x * 1.0
    row = y[0]
    y.mul_(3.0)
    with pytest.raises(GraphError, match=r"'indexed', was used after the tensor that it shows"):
        (row + 1.0).sum().backward()
    z = x * 1.0
    used = z[0] + 1.0
    z.mul_(3.0)
    (used.sum() + z.sum()).backward()
    assert x.grad.tolist() == [[4, 4], [3, 3]]


def test_what_can_not_be_taken():
    w = nb.ones(2, 2, requires_grad=True)
    with pytest.raises(ShapeError, match="doesn't match the broadcast shape"):
        nb.ones(2).add_(w)
    with pytest.raises(DtypeError, match="can't be cast"):
        nb.ones(2, 2, dtype=nb.int64).mul_(w)
    y = nb.ones(2, 2).mul_(w.double())
    assert y.dtype == np.float32
    y.sum().backward()
    assert w.grad.tolist() == [[1, 1], [1, 1]]


def test_values_with_leading_dimensions():
    w = nb.ones(1, 2, requires_grad=True)
    x = nb.zeros(2)
    x[:] = w
    x.sum().backward()
    assert w.grad.tolist() == [[1, 1]]


@given(base=arrays((3, 4)))
@pytest.mark.parametrize("view", VIEWS)
def test_places(view, base):
    shown = VIEWS[view](nb.Tensor(base)).array
    if np.shares_memory(shown, base):
        np.testing.assert_array_equal(base.ravel()[places_in(base, shown)], shown)


def test_bases():
    x = nb.zeros(2, 3)
    assert x._base is None
    assert x[0]._base is x
    assert x.T[0].view(2)._base is x
    assert x.T.reshape(6)._base is None  # a copy
    assert x.clone()._base is None
    assert all(part._base is x for part in x.unbind())
