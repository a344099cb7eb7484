import gc

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import op, versions
from nbgrad.errors import GraphError

MODIFIED = "modified by an inplace operation"


def leaf():
    return nb.tensor([1.0, 2.0], requires_grad=True)


def test_the_message_names_both_operations_and_versions():
    x, w = leaf(), nb.ones(2)
    w.add_(1.0)
    y = x * w
    w.add_(1.0).mul_(2.0)
    with pytest.raises(RuntimeError, match=MODIFIED) as caught:
        y.sum().backward()
    text = str(caught.value)
    for part in ("float32, shape (2,)", "'mul'", "at version 3", "expected version 1", "'mul_'"):
        assert part in text
    assert x.grad is None


@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.zero_(),
        lambda w: w.__setitem__(0, 5.0),
        lambda w: w[1:].add_(1.0),
        lambda w: w.view(1, 2).fill_(3.0),
        lambda w: w.detach().copy_(nb.ones(2)),
        lambda w: nb.nn.init.zeros_(w),
    ],
)
def test_writes_of_any_kind_and_through_views_are_found(write):
    x, w = leaf(), nb.ones(2)
    y = (x * w).sum()
    write(w)
    with pytest.raises(GraphError, match=MODIFIED):
        y.backward()


def test_views_that_were_saved():
    x, w = leaf(), nb.ones(2, 2)
    y = (x * w[1]).sum()
    w.mul_(2.0)
    with pytest.raises(GraphError, match=MODIFIED):
        y.backward()


def test_a_result_that_its_own_vjp_needs():
    y = leaf().exp()
    with nb.no_grad():
        y.add_(1.0)
    with pytest.raises(GraphError, match=r"'exp'.*"):
        y.sum().backward()


def test_what_was_not_saved_may_be_written():
    x, w = leaf(), nb.ones(2)
    y = (x + w).sum()
    w.mul_(5.0)
    y.backward()
    z = (leaf() / nb.ones(2)).sum()
    x.grad.zero_()
    z.backward()


def test_only_what_is_needed_is_saved():
    x, c = nb.ones(2), leaf()
    y = (x / nb.full((2,), 2.0)) * c
    z = nb.tensor([4.0, 4.0]) / c.detach()
    y.sum().backward()
    assert c.grad.tolist() == [0.5, 0.5]
    a, b = leaf(), nb.ones(2)
    product = (a * 2.0) / b
    with nb.no_grad():
        a.add_(1.0)
    product.sum().backward()
    assert z.tolist() == [4.0, 2.0]


def test_a_write_before_recording_is_fine():
    x, w = leaf(), nb.ones(2)
    w.add_(1.0)
    (x * w).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_an_optimizer_between_forward_and_backward():
    layer = nb.nn.Linear(2, 2)
    x = leaf()
    optimizer = nb.optim.SGD(layer.parameters(), 0.1)
    first, second = layer(x).sum(), layer(x).sum()
    first.backward()
    optimizer.step()
    with pytest.raises(GraphError, match=r"'linear'.*'SGD'"):
        second.backward()


def test_gradients_are_accumulated_without_harm():
    x = leaf()
    a, b = (x * x).sum(), (x * x).sum()
    a.backward()
    b.backward()
    assert x.grad.tolist() == [4.0, 8.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_grad_looks_too_but_only_at_nodes_that_it_runs(create_graph):
    x, w, z = leaf(), nb.ones(2), leaf()
    y = ((x * w) * z).sum()
    w.zero_()
    nb.autograd.grad(y, z, create_graph=create_graph, retain_graph=True)
    with pytest.raises(GraphError, match=MODIFIED):
        nb.autograd.grad(y, x, create_graph=create_graph)


def test_functions_and_nested_residuals():
    class Scale(nb.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w, None)
            return x * w

        @staticmethod
        def backward(ctx, g):
            x, w, _ = ctx.saved_tensors
            return g * w, g * x

    @op
    def scaled(x, w):
        return x * w, ((w, "w"), [None])

    @scaled.vjp
    def scaled(residuals, g):
        ((w, _), _) = residuals
        return (g * w,)

    for function in (Scale.apply, scaled):
        w = nb.ones(2)
        y = function(leaf(), w).sum()
        w.zero_()
        with pytest.raises(GraphError, match=MODIFIED):
            y.backward()


def test_version_numbers():
    x = nb.ones(2, 2)
    assert x._version == 0
    x[0].add_(1.0)
    x.mul_(2.0)
    assert x._version == x.T._version == x.detach()._version == 2
    assert nb.ones(2)._version == 0
    assert nb.ones(2).to_sparse()._version == 0


def test_books_are_closed_when_memory_is_freed():
    x = nb.ones(100)
    x.add_(1.0)
    key = id(versions.owner(x.array))
    assert key in versions.writes
    for _ in range(3 * versions.N_REMEMBERED):
        x.add_(1.0)
    assert len(versions.writes[key].seqs) == versions.N_REMEMBERED
    del x
    gc.collect()
    assert key not in versions.writes
    array = np.ones(1)
    note = versions.Writes(array, versions.forget)
    note.key = key
    versions.forget(note)  # of memory whose id is somebody else's by now
    assert key not in versions.writes
