import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import grad, op
from nbgrad.autograd.sweep import key_of, sweep


@op
def counted(x):
    counted.n_forward = getattr(counted, "n_forward", 0) + 1
    return x * 1.0, None


@counted.vjp
def counted(residuals, g):
    counted.n_backward += 1
    return (g,)


counted.n_backward = 0


def test_nodes_that_lead_to_no_wanted_input_do_not_run():
    x, y = nb.ones(1, requires_grad=True), nb.ones(1, requires_grad=True)
    z = counted(x) * y
    before = counted.n_backward
    assert grad(z, y, retain_graph=True)[0].item() == 1.0
    assert counted.n_backward == before
    grad(z, x)
    assert counted.n_backward == before + 1


def test_a_wanted_result_ends_the_pass_there():
    x = nb.ones(1, requires_grad=True)
    middle = counted(x)
    before = counted.n_backward
    assert grad(middle * 3.0, middle)[0].item() == 3.0
    assert counted.n_backward == before


def test_a_result_and_its_input_at_once():
    x = nb.tensor([2.0], requires_grad=True)
    middle = x * x
    a, b = grad(middle * middle, [middle, x])
    assert (a.item(), b.item()) == (8.0, 32.0)


@pytest.mark.parametrize("create_graph", [False, True])
def test_sums_of_all_leaves(create_graph):
    x, y = nb.tensor([2.0], requires_grad=True), nb.tensor([3.0], requires_grad=True)
    z = x * y + x
    one = np.ones(1, np.float32)
    found = sweep([z], [nb.Tensor(one) if create_graph else one], False, create_graph, None)
    assert {key: g.item() for key, g in found.items()} == {key_of(x): 4.0, key_of(y): 2.0}


@pytest.mark.parametrize("create_graph", [False, True])
def test_hooks_see_gradients_on_their_way(create_graph):
    x = nb.tensor([2.0], requires_grad=True)
    y = x * 3.0
    seen = []
    y.register_hook(lambda g: seen.append(("y", g.item())) or g * 10)
    x.register_hook(lambda g: seen.append(("x", g.item())) or g + 1)
    y.grad_fn.register_prehook(lambda gs: seen.append(("pre", gs[0].item())))
    y.grad_fn.register_hook(lambda gs, given: seen.append(("post", gs[0].item(), given[0].item())))
    y.retain_grad()
    (g,) = grad(y * y, x, create_graph=create_graph)
    assert seen == [("y", 12.0), ("pre", 120.0), ("post", 360.0, 120.0), ("x", 360.0)]
    assert g.item() == 361.0
    assert y.grad.item() == 120.0
    if create_graph:
        assert y.grad.requires_grad
        assert grad(g, x)[0].item() == 10 * 2 * 9.0 * 10 + 1  # the hooks see this pass, too


def test_several_outputs_some_of_them_unused():
    x = nb.tensor([1.0, 2.0, 3.0], requires_grad=True)
    a, _, c = x.split(1)
    (g,) = grad(a * c, x, create_graph=True)
    assert g.tolist() == [3.0, 0.0, 1.0]
    assert grad(g.sum(), x)[0].tolist() == [1.0, 0.0, 1.0]


def test_recording_is_on_or_off_only_during_the_pass():
    x = nb.ones(1, requires_grad=True)
    modes = []
    y = x * 1.0
    y.register_hook(lambda g: modes.append(nb.is_grad_enabled()))
    with nb.no_grad():
        grad(y, x, create_graph=True)
        assert not nb.is_grad_enabled()
    grad(y, x, retain_graph=False)
    assert modes == [True, False]
    assert nb.is_grad_enabled()
