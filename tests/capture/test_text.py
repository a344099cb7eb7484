import pytest

import nbgrad as nb
from nbgrad.errors import ShapeError


def test_the_text_can_be_read():
    w = nb.ones(3, requires_grad=True)
    optimizer = nb.optim.SGD([w], lr=0.1)

    @nb.compile
    def step(x):
        optimizer.zero_grad()
        y = (w * x).softmax(0)
        y.backward(nb.ones(3))
        optimizer.step()
        return {"y": [y.detach()], "n": 3}

    first, second = step(nb.ones(3)), step(nb.ones(3))
    assert (first["n"], second["n"]) == (3, 3)
    assert isinstance(second["y"][0], nb.Tensor)
    lines = step.last.text.splitlines()
    assert lines[0] == "def replay(a0):"
    assert lines[-1].strip().startswith("return {'y': [Tensor(v")
    assert sum("run(" in line for line in lines) == 2


def test_values_are_dropped_after_their_last_use():
    step = nb.compile(lambda x: (x.reshape(2, 2) @ x.reshape(2, 2)).sum())
    step(nb.ones(4))
    assert step.last.text.count("= None") == 3


def test_a_shape_that_depends_on_values_is_an_error():
    @nb.autograd.op(constant=True)
    def above(x):
        return x[x > 0], None

    step = nb.compile(lambda x: above(x) * 2.0)
    assert step(nb.tensor([1.0, -1.0])).tolist() == [2]
    with pytest.raises(ShapeError, match="depends on values"):
        step(nb.tensor([1.0, 2.0]))
