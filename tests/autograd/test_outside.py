import nbgrad as nb
from nbgrad.autograd.outside import OutsideSteps, Recording, outside


class Noting:
    """A recorder that notes the names of outside calls."""

    def __init__(self):
        self.names = []

    def outside(self, function, args, kwargs):
        self.names.append(function.__qualname__)
        return function(*args, **kwargs)


def test_a_recorder_gets_the_call(monkeypatch):
    twice = outside(lambda x: 2 * x)
    assert twice(3) == 6
    recorder = Noting()
    monkeypatch.setattr(Recording, "recorder", recorder)
    assert twice(3) == 6
    assert len(recorder.names) == 1
    assert outside(twice) is twice


def test_steps_of_subclasses_are_outside_calls(monkeypatch):
    class Base(OutsideSteps):
        def step(self):
            return 1

    class Mine(Base):
        def step(self):
            return 2

    recorder = Noting()
    monkeypatch.setattr(Recording, "recorder", recorder)
    assert (Base().step(), Mine().step()) == (1, 2)
    assert [name.split(".")[-2] for name in recorder.names] == ["Base", "Mine"]


def test_optimizers_and_schedules_have_outside_steps():
    for kind in (
        nb.optim.SGD,
        nb.optim.LBFGS,
        nb.optim.lr_scheduler.StepLR,
        nb.optim.lr_scheduler.ChainedScheduler,
        nb.optim.lr_scheduler.ReduceLROnPlateau,
    ):
        assert kind.step.is_outside
    assert nb.optim.Adam.zero_grad.is_outside
    assert nb.nn.utils.clip_grad_norm_.is_outside
