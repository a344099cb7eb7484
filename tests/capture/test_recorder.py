import nbgrad as nb
from nbgrad.capture.lookout import stationed
from nbgrad.capture.recorder import Recorder
from nbgrad.capture.trace import Forget, Op, Outside, Pull, Read, Store, Sum


def recorded(step, *inputs):
    recorder = Recorder(list(inputs))
    with stationed(recorder):
        recorder.finish(step(*inputs))
    return recorder


def kinds(recorder):
    return [type(step) for step in recorder.trace.steps]


def test_a_pass_is_noted_sum_by_sum():
    w = nb.ones(2, requires_grad=True)

    def step(x):
        w.grad = None
        (w * x + w).sum().backward()

    recorder = recorded(step, nb.ones(2))
    assert recorder.reason is None
    assert kinds(recorder) == [Forget, Read, Read, Op, Op, Op, Pull, Pull, Pull, Sum, Store]
    names = [one.name for one in recorder.trace.steps if isinstance(one, Op)]
    assert names == ["mul", "add", "sum"]
    assert w.grad.tolist() == [2, 2]


def test_an_optimizer_is_one_call_and_parameters_are_read_again_after_it():
    w = nb.ones(2, requires_grad=True)
    optimizer = nb.optim.SGD([w], lr=0.5)

    def step(x):
        (w * x).sum().backward()
        optimizer.step()
        return (w * x).detach()

    recorder = recorded(step, nb.ones(2))
    assert recorder.reason is None
    after = kinds(recorder)[kinds(recorder).index(Outside) :]
    assert after == [Outside, Read, Read, Op]


def test_constants_made_in_the_step_are_constants():
    recorder = recorded(lambda x: x + nb.zeros(2) + 1.0, nb.ones(2))
    assert recorder.reason is None
    assert [one for one in kinds(recorder) if one is Read] == [Read]


def test_the_first_reason_counts():
    def step(x):
        x.sum().item()
        x.tolist()

    assert "(item)" in recorded(step, nb.ones(2)).reason
