"""What a recorder is told, and that nothing is left when it goes."""

import nbgrad as nb
from nbgrad.autograd.op import registry
from nbgrad.autograd.watch import Watch, watch


class Cube(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x * x


def told(program):
    found = []
    watch(lambda kind, name, start_ns: found.append((kind, name)))
    try:
        program()
    finally:
        watch(None)
    return found


def test_forwards_and_vjps_of_ops():
    x = nb.ones(2, requires_grad=True)
    assert told(lambda: (x * 2).sum().backward()) == [
        ("forward", "mul"),
        ("forward", "sum"),
        ("backward", "SumBackward0"),
        ("backward", "MulBackward0"),
        ("pass", "backward"),
    ]
    assert x.grad.tolist() == [2, 2]


def test_gradients_of_gradients():
    x = nb.ones(2, requires_grad=True)
    found = told(lambda: nb.autograd.grad((x * x).sum(), x, create_graph=True))
    backward = [name for kind, name in found if kind == "backward"]
    assert backward == ["SumBackward0", "MulBackward0"]
    assert ("forward", "mul") in found[
        found.index(("backward", "SumBackward0")) :
    ]  # inside of a VJP
    assert found[-1] == ("pass", "backward")


def test_a_function_holds_what_runs_inside_of_it():
    x = nb.ones(2, requires_grad=True)
    found = told(lambda: Cube.apply(x).sum().backward())
    assert found[:3] == [("forward", "mul"), ("forward", "mul"), ("forward", "Cube")]
    assert found[-2:] == [("backward", "CubeBackward0"), ("pass", "backward")]


def test_what_fails_is_no_event():
    def program():
        try:
            nb.ones(2) @ nb.ones(3)
        except RuntimeError:
            pass

    assert told(program) == []


def test_ops_are_as_before_when_nobody_watches():
    before = {name: op.__globals__["forward"] for name, op in registry.items()}
    assert told(lambda: nb.ones(2) + 1) == [("forward", "add")]
    assert told(lambda: nb.ones(2) + 1) == [("forward", "add")]  # not wrapped twice
    assert {name: op.__globals__["forward"] for name, op in registry.items()} == before
    assert Watch.record is None


def test_a_recorder_takes_the_place_of_another():
    first, second = [], []
    watch(lambda *event: first.append(event))
    watch(lambda *event: second.append(event))
    nb.ones(2) + 1
    watch(None)
    assert (len(first), len(second)) == (0, 1)
