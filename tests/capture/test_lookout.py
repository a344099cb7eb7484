import re
import sys
from pathlib import Path

import pytest

import nbgrad as nb
from nbgrad.autograd import engine
from nbgrad.autograd.op import op, registry
from nbgrad.autograd.outside import Recording
from nbgrad.capture.lookout import SHAPED, stationed
from nbgrad.capture.recorder import Recorder


def reason_of(step):
    recorder = Recorder([])
    with stationed(recorder):
        step()
    return recorder.reason


def test_an_op_is_seen_though_another_has_its_name(monkeypatch):
    """Seen: an op of a test's had the name of the one below `where`, and no step with `where` was captured."""
    monkeypatch.setitem(registry, "mul", None)  # put back at the end

    @op
    def mul(x, y):
        return x + y, None

    assert registry["mul"] is mul
    x = nb.ones(3, requires_grad=True)
    assert reason_of(lambda: (x * x).sum().backward()) is None


def test_everything_is_put_back():
    def places():
        scope = nb.mul.__globals__
        tensor = vars(nb.Tensor)
        return tensor["array"], tensor["grad"], engine.run, scope["forward"], scope["next_seq"]

    before = places()
    recorder = Recorder([])

    def fails():
        with stationed(recorder):
            assert places() != before
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert places() == before
    assert Recording.recorder is None


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (lambda x: x.array + 1, "with NumPy or numbers"),
        (lambda x: x.numpy(), "(numpy)"),
        (lambda x: x.tolist(), "(tolist)"),
        (lambda x: repr(x), "(__repr__)"),
        (lambda x: 1.0 in x, "(__contains__)"),
        (lambda x: x[x[0].long()], "reads the values"),
        (lambda x: x.add_(1), "in place"),
        (lambda x: setattr(x, "data", nb.ones(1)), "another array"),
        (lambda x: setattr(x, "grad", nb.ones(3)), "sets .grad"),
    ],
)
def test_what_the_recorder_must_not_miss(use, reason):
    x = nb.ones(3)
    assert reason in reason_of(lambda: use(x))


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x.shape,
        len,
        lambda x: x.detach(),
        lambda x: x + x.data,
        lambda x: x.is_contiguous(),
    ],
)
def test_what_is_harmless(use):
    x = nb.ones(3)
    assert reason_of(lambda: use(x)) is None


@pytest.mark.parametrize("name", sorted(SHAPED))
def test_arrays_made_of_shapes_are_made_where_nobody_reads_values(name):
    source = Path(sys.modules[name].__file__).read_text()
    assert not re.search(r"(?<!np)\.array\b|\.(item|tolist|numpy)\(", source)
