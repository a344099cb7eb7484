import copy

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.autograd.sparse import SparseArray
from nbgrad.errors import DtypeError, ShapeError


def parameter(*values):
    return nn.Parameter(nb.tensor(values))


def test_groups_and_defaults():
    a, b = parameter(1.0), parameter(2.0)
    optimizer = optim.SGD([{"params": a}, {"params": [b], "lr": 0.5}], lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    a.grad, b.grad = nb.tensor([1.0]), nb.tensor([1.0])
    optimizer.step()
    assert a.item() == pytest.approx(0.9)
    assert b.item() == 1.5
    optimizer.add_param_group({"params": [parameter(3.0)]})
    assert len(optimizer.param_groups) == 3


def test_step_with_gives_gradients_from_elsewhere():
    a, b = parameter(1.0), parameter(2.0)
    optimizer = optim.SGD([a, b], lr=1.0)
    a.grad = nb.tensor([100.0])
    optimizer.step_with([np.array([0.5], np.float32), None])
    assert (a.item(), b.item()) == (0.5, 2.0)
    with pytest.raises(ShapeError, match="got 1 for 2 parameters"):
        optimizer.step_with([None])
    good = np.array([0.5], np.float32)
    with pytest.raises(ShapeError, match="gradient of parameter 1 has shape"):
        optimizer.step_with([good, np.zeros(2, np.float32)])
    with pytest.raises(DtypeError, match="float64"):
        optimizer.step_with([good, np.zeros(1)])
    assert a.item() == 0.5  # nothing was changed


def test_zero_grad():
    a = parameter(1.0)
    optimizer = optim.SGD([a], lr=0.1)
    a.grad = nb.ones(1)
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.item() == 0
    optimizer.zero_grad()
    assert a.grad is None
    optimizer.step()  # nothing to do
    assert a.item() == 1.0


def test_closure():
    a = parameter(2.0)
    optimizer = optim.SGD([a], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (a * a).sum()
        loss.backward()
        return loss

    with nb.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert a.item() == pytest.approx(1.6)


def test_memory_and_layout_of_parameters_stay():
    p = nn.Parameter(nb.tensor(np.arange(6.0).reshape(2, 3)).T)
    array = p.array
    p.grad = nb.Tensor(np.arange(6.0).reshape(3, 2))
    optim.SGD([p], lr=1.0).step()
    assert p.array is array
    np.testing.assert_array_equal(
        p.array, np.arange(6.0).reshape(2, 3).T - np.arange(6.0).reshape(3, 2)
    )
    q = nn.Parameter(nb.zeros(2, 3))
    q.grad = nb.ones(3, 2).T
    optim.SGD([q], lr=1.0).step()
    assert q.tolist() == [[-1, -1, -1], [-1, -1, -1]]


@pytest.mark.parametrize(
    "make", [lambda ps: optim.SGD(ps, 0.1, momentum=0.9), optim.Adam, optim.AdamW]
)
def test_state_dict_goes_on_exactly(make):
    def steps(p, optimizer, n):
        for k in range(n):
            optimizer.step_with([np.full(2, 0.1 * k + 0.3, np.float32)])

    p = parameter(1.0, 2.0)
    whole = make([p])
    steps(p, whole, 6)
    q = parameter(1.0, 2.0)
    first = make([q])
    steps(q, first, 6)
    state = copy.deepcopy(first.state_dict())
    resumed = make([q])
    resumed.load_state_dict(state)
    resumed.step_with([np.ones(2, np.float32)])
    whole.step_with([np.ones(2, np.float32)])
    assert q.array.tobytes() == p.array.tobytes()
    assert state["param_groups"][0]["params"] == [0]
    assert list(state["state"]) == [0]


def test_a_state_dict_of_another_model_is_refused():
    one, two = optim.SGD([parameter(1.0)], 0.1), optim.SGD([parameter(1.0), parameter(1.0)], 0.1)
    with pytest.raises(ValueError, match="groups of other sizes"):
        two.load_state_dict(one.state_dict())


def test_what_can_not_be_optimized():
    a = parameter(1.0)
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD([], 0.1)
    with pytest.raises(TypeError, match="iterable of Tensors"):
        optim.SGD(a, 0.1)
    with pytest.raises(TypeError, match="int"):
        optim.SGD([3], 0.1)
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([a * 2], 0.1)
    with pytest.raises(ValueError, match="more than one place"):
        optim.SGD([a, a], 0.1)
    with pytest.raises(ValueError, match="learning rate"):
        optim.SGD([a], -0.1)
    with pytest.raises(ValueError, match="weight_decay"):
        optim.SGD([a], 0.1, weight_decay=-1)
    with pytest.raises(NotImplementedError):
        optim.Optimizer([a], {}).step_with([np.ones(1, np.float32)])


def test_repr():
    text = repr(optim.SGD([parameter(1.0)], 0.1))
    assert "lr: 0.1" in text
    assert "params" not in text


def test_only_some_optimizers_take_sparse_gradients():
    p = nn.Parameter(nb.ones(3, 1))
    g = SparseArray(np.array([[1]]), np.ones((1, 1), np.float32), (3, 1))
    with pytest.raises(
        DtypeError, match="Adam does not support sparse gradients, please consider SparseAdam"
    ):
        optim.Adam([p]).step_with([g])
    p.grad = nb.Tensor(g)
    optim.SGD([p]).zero_grad(set_to_none=False)
    assert p.grad.is_sparse
    assert not p.grad.array.to_dense().any()
