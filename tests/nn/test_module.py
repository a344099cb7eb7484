import copy
import pickle

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.errors import DtypeError, NbgradError, ShapeError
from nbgrad.nn.module import check_positive


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.scale = nn.Parameter(nb.ones(1))
        self.body = nn.Sequential(nn.ReLU(), nn.Linear(3, 1, bias=False))
        self.register_buffer("mean", nb.zeros(2))
        self.register_buffer("scratch", nb.zeros(1), persistent=False)
        self.note = "plain"

    def forward(self, x):
        return self.body(self.first(x - self.mean)) * self.scale


def test_members_are_found_by_name():
    net = Net()
    names = ["scale", "first.weight", "first.bias", "body.1.weight"]
    assert [name for name, _ in net.named_parameters()] == names
    assert len(list(net.parameters())) == 4
    assert [name for name, _ in net.named_buffers()] == ["mean", "scratch"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "body", "body.0", "body.1"]
    assert [name for name, _ in net.named_children()] == ["first", "body"]
    assert [name for name, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert len(list(net.buffers())) == 2
    assert len(list(net.modules())) == 5
    assert net.get_submodule("body.1") is net.body[1]
    assert net.get_parameter("body.1.weight") is net.body[1].weight
    assert "first" in dir(net)


def test_shared_parameters_count_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3
    assert len(net.state_dict()) == 4


def test_forward_backward_and_zero_grad():
    net = Net()
    net(nb.ones(4, 2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.item() == 0
    net.zero_grad()
    assert net.scale.grad is None


def test_attributes_change_their_kind():
    net = Net()
    net.note = nn.Parameter(nb.zeros(1))
    assert "note" in dict(net.named_parameters())
    del net.note
    assert not hasattr(net, "note")
    with pytest.raises(DtypeError, match="cannot assign 'Tensor' as parameter 'scale'"):
        net.scale = nb.zeros(1)
    net.scale = None
    assert net.scale is None
    net.mean = nb.ones(2)
    assert net.state_dict()["mean"].tolist() == [1, 1]
    with pytest.raises(DtypeError, match="buffer"):
        net.mean = 3
    net.first = None
    assert net.first is None
    net.mean = None
    with pytest.raises(AttributeError, match="has no attribute 'missing'"):
        _ = net.missing


def test_init_must_be_called_first():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"super\(\)\.__init__\(\)"):
        Forgetful()
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_modes():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    assert net.eval() is net
    assert not net[1][0].training
    net.train()
    assert net[1][0].training
    with pytest.raises(ValueError, match="boolean"):
        net.train(1)
    net = Net().requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_apply_reaches_children_before_parents():
    order = []
    Net().apply(lambda module: order.append(type(module).__name__))
    assert order == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_conversion():
    net = Net().double()
    assert all(p.dtype == np.float64 for p in net.parameters())
    assert net.mean.dtype == np.float64
    assert net.to("cpu").float().scale.dtype == np.float32
    assert net.to(nb.zeros(1, dtype=nb.float64)).scale.dtype == np.float64
    assert net.to(dtype=nb.float32).cpu() is net
    with pytest.raises(DtypeError, match="floating point"):
        net.to(nb.int64)
    with pytest.raises(NbgradError):
        net.cuda()
    with pytest.raises(NbgradError):
        net.to("cuda")


def test_state_dict_round_trip():
    nb.manual_seed(0)
    first, second = Net(), Net()
    state = first.state_dict()
    assert list(state) == ["scale", "mean", "first.weight", "first.bias", "body.1.weight"]
    assert not state["scale"].requires_grad
    before = second.first.weight.array
    result = second.load_state_dict(state)
    assert repr(result) == "<All keys matched successfully>"
    assert second.first.weight.array is before  # copied into the same memory
    x = nb.ones(1, 2)
    assert first(x).item() == second(x).item()


def test_hooks():
    layer = nn.Identity()
    before = layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    after = layer.register_forward_hook(lambda module, args, result: result * 10)
    assert layer(nb.ones(1)).item() == 20
    before.remove()
    assert layer(nb.ones(1)).item() == 10
    after.remove()
    with layer.register_forward_hook(lambda module, args, result: None):
        assert layer(nb.ones(1)).item() == 1


def test_copies():
    net = Net()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.scale is not net.scale
        assert list(twin.state_dict()) == list(net.state_dict())
        twin.scale.array[...] = 5
        assert net.scale.item() == 1


def test_repr():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (body): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=3, out_features=1, bias=False)\n"
        "  )\n"
        ")"
    )


def test_negative_sizes_are_refused():
    with pytest.raises(ShapeError, match="width"):
        check_positive("Layer", width=-1)


class AlwaysEvaluating(nn.Module):
    """A frozen part, as users write it."""

    def train(self, mode=True):
        return super().train(False)


def test_a_train_of_its_own_is_called_below():
    net = nn.Sequential(AlwaysEvaluating(), nn.Dropout())
    net.train()
    assert (net[0].training, net[1].training) == (False, True)
