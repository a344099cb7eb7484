"""Hooks of leaves: their order, what each sees, and whose memory the gradient then is."""

import pytest

import nbgrad as nb
from nbgrad.errors import GraphError


def leaf(*values):
    return nb.tensor(values, requires_grad=True)


def end_of(x):
    return (x * 1).grad_fn.next_functions[0][0]


def test_each_sees_the_sum_of_the_pass_once_in_order():
    x, told = leaf(1.0), []
    end_of(x).register_hook(
        lambda none, given: told.append(("post", none, given[0].item(), x.grad))
    )
    end_of(x).register_prehook(lambda grads: told.append(("pre", grads[0].item())))
    x.register_hook(lambda g: told.append(("tensor", g.item())))
    x.register_post_accumulate_grad_hook(lambda x: told.append(("stored", x.grad.item())))
    (x * 3 + x * 4).backward()
    assert [name for name, *_ in told] == ["tensor", "pre", "post", "stored"]
    assert [told[0][1], told[1][1], told[3][1]] == [7, 7, 7]
    assert told[2][1:3] == ((), 7)
    assert told[2][3] is x.grad, "the post-hook runs after the sum was stored"


def test_replacements():
    x = leaf(1.0)
    x.register_hook(lambda g: g * 10)
    pre = end_of(x).register_prehook(lambda grads: (grads[0] + 1,))
    end_of(x).register_prehook(lambda grads: grads[0] * 2)  # one that stands alone
    (x * 3).backward()
    assert x.grad.item() == 62
    pre.remove()
    (x * 3).backward()
    assert x.grad.item() == 62 + 60


def test_what_hooks_keep_is_never_written():
    constant, kept = nb.tensor([5.0]), []
    x, y, z = leaf(1.0), leaf(1.0), leaf(1.0)
    x.register_hook(lambda g: constant)
    y.register_hook(kept.append)
    end_of(z).register_hook(lambda none, given: kept.append(given[0]))
    for _ in range(2):
        for t in (x, y, z):
            (t * 3 + t * 4).backward()  # twice: a sum in a buffer of the pass
    assert [t.grad.item() for t in (x, y, z)] == [10, 14, 14]
    assert constant.item() == 5
    assert [g.item() for g in kept] == [7, 7, 7, 7]


def test_an_optimizer_in_the_backward_pass():
    x = leaf(1.0)

    def step(x):
        with nb.no_grad():
            x -= x.grad
        x.grad = None

    x.register_post_accumulate_grad_hook(step)
    for _ in range(2):
        (x * 3).backward()
    assert x.item() == -5
    assert x.grad is None


def test_what_has_no_grad_to_wait_for():
    with pytest.raises(GraphError, match="non-leaf tensors"):
        (leaf(1.0) * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(GraphError, match="doesn't require grad"):
        nb.ones(1).register_post_accumulate_grad_hook(print)
