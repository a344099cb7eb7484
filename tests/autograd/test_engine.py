import threading

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import nbgrad as nb
from nbgrad.errors import GraphError, ShapeError


def test_the_gradient_of_a_shared_leaf_is_the_sum():
    x = nb.tensor([2.0], requires_grad=True)
    (x * x + x * 3.0 + x).sum().backward()
    assert x.grad.item() == 8.0


def test_diamonds():
    x = nb.tensor([2.0], requires_grad=True)
    a = x * x
    b, c = a * 2.0, a * 3.0
    (b * c).sum().backward()  # 6 x^4
    assert x.grad.item() == 24 * 8


def test_gradients_add_up_over_passes_in_the_same_object():
    x = nb.tensor([2.0], requires_grad=True)
    (x * x).sum().backward()
    grad = x.grad
    (x * x).sum().backward()
    assert x.grad is grad
    assert grad.item() == 8.0


def test_retain_graph():
    x = nb.tensor([2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0
    with pytest.raises(GraphError, match=r"second time.*'mul'"):
        y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_an_op_that_saved_no_array_may_run_twice():
    x = nb.ones(2, requires_grad=True)
    y = x.sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2, 2]


def test_leaves_never_share_their_gradients():
    x, y = nb.ones(2, requires_grad=True), nb.ones(2, requires_grad=True)
    (x + y).backward(gradient := nb.tensor([1.0, 2.0]))
    x.grad.mul_(10)
    assert y.grad.tolist() == [1, 2]
    assert gradient.tolist() == [1, 2]


def test_gradients_are_not_views_of_something_else():
    x, y = nb.ones(4, requires_grad=True), nb.ones(2, 2, requires_grad=True)
    (x.reshape(2, 2) + y).sum().backward()
    x.grad.zero_()
    assert y.grad.tolist() == [[1, 1], [1, 1]]


def test_a_leaf_can_be_the_root():
    x = nb.ones(1, requires_grad=True)
    x.backward()
    x.backward(nb.tensor([5.0]))
    assert x.grad.item() == 6.0


def test_several_roots():
    x = nb.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    nb.autograd.backward([y, y.sum()], [nb.tensor([1.0, 0.0]), None])
    assert x.grad.tolist() == [4.0, 4.0]


def test_the_same_root_twice_counts_twice():
    x = nb.tensor([1.0], requires_grad=True)
    y = x * 3.0
    nb.autograd.backward([y, y])
    assert x.grad.item() == 6.0


def test_parts_that_need_no_gradient_get_none():
    x, c = nb.ones(1, requires_grad=True), nb.ones(1)
    (x * c).backward()
    assert c.grad is None
    (x.detach() * x).sum().backward()
    assert x.grad.item() == 2.0


def test_what_can_not_be_a_root():
    x = nb.ones(2, requires_grad=True)
    with pytest.raises(GraphError, match="does not require grad and does not have a grad_fn"):
        nb.ones(1).backward()
    with pytest.raises(ShapeError, match="only for scalar outputs"):
        (x * 2).backward()
    with pytest.raises(ShapeError, match="Mismatch in shape"):
        (x * 2).backward(nb.ones(3))
    with pytest.raises(ShapeError, match="one gradient"):
        nb.autograd.backward([x, x], [nb.ones(2)])


def test_a_failing_vjp_names_its_op():
    @nb.autograd.op
    def broken(x):
        return x, None

    @broken.vjp
    def broken(residuals, g):
        raise KeyError("no")

    with pytest.raises(KeyError) as caught:
        broken(nb.ones(1, requires_grad=True)).backward()
    assert "'broken'" in caught.value.__notes__[0]


def test_a_deep_graph_needs_no_deep_stack():
    x = nb.ones(1, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 20_001


def test_two_threads_run_backward_over_one_graph():
    x = nb.ones(1, requires_grad=True)
    shared = x * 2.0
    losses = [(shared * float(k)).sum() for k in range(8)]
    threads = [
        threading.Thread(target=loss.backward, kwargs={"retain_graph": True}) for loss in losses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert x.grad is not None


@given(st.data())
@settings(max_examples=30)
def test_random_graphs_agree_with_forward_mode(data):
    """Gradients of random sums and products, against derivatives carried along by hand."""
    n = data.draw(st.integers(1, 3))
    leaves = [nb.tensor(np.float64(0.5 + k), requires_grad=True) for k in range(n)]
    pool = [(leaf, leaf.item(), np.eye(n)[k]) for k, leaf in enumerate(leaves)]
    for _ in range(data.draw(st.integers(1, 12))):
        (a, va, da), (b, vb, db) = (
            data.draw(st.sampled_from(pool)),
            data.draw(st.sampled_from(pool)),
        )
        kind = data.draw(st.sampled_from(["add", "sub", "half product"]))
        if kind == "add":
            pool.append(((a + b) * 0.5, (va + vb) * 0.5, (da + db) * 0.5))
        elif kind == "sub":
            pool.append((a - b, va - vb, da - db))
        else:
            pool.append((a * b * 0.5, va * vb * 0.5, (da * vb + db * va) * 0.5))
    y, value, derivative = pool[-1]
    if y.requires_grad:
        y.backward()
    assert y.item() == pytest.approx(value)
    found = [0.0 if leaf.grad is None else leaf.grad.item() for leaf in leaves]
    np.testing.assert_allclose(found, derivative, rtol=1e-9, atol=1e-9)
