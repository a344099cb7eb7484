"""RemoteModule: a module elsewhere, trained from here."""

import pickle

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, nn, optim, rpc
from nbgrad.distributed.nn import RemoteModule


def train():
    nb.manual_seed(0)
    module = RemoteModule("worker1/cpu", nn.Linear, args=(3, 2))
    optimizer = optim.DistributedOptimizer(optim.SGD, module.remote_parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        with dist_autograd.context() as context_id:
            loss = (module(nb.ones(4, 3)) - 1).pow(2).mean()
            dist_autograd.backward(context_id, [loss])
            optimizer.step(context_id)
            losses.append(loss.item())
    return losses


def modes():
    module = RemoteModule("rank:1/cpu", nn.Dropout, args=(0.5,))
    module.eval()
    same = module(nb.ones(100)).sum().item()
    module.train()
    dropped = module.forward_async(nb.ones(1000)).wait()
    again = RemoteModule.init_from_module_rref("worker1", module.get_module_rref())
    return same, (dropped == 0).sum().item(), again.eval()(nb.ones(5)).sum().item()


def refused(name):
    module = RemoteModule("worker1", nn.Identity)
    try:
        getattr(module, name)()
    except (ValueError, AttributeError) as error:
        return type(error).__name__, str(error)


def test_training_brings_the_loss_down(group2):
    losses = group2.call(train)
    assert losses[-1] < 0.1 * losses[0]


def test_modes_are_forwarded(group2):
    same, n_dropped, again = group2.call(modes)
    assert same == 100
    assert 400 < n_dropped < 600
    assert again == 5


def test_what_makes_no_sense_far_away_is_refused(group2):
    kind, text = group2.call(refused, "state_dict")
    assert (kind, "not supported for RemoteModule" in text) == ("ValueError", True)
    assert group2.call(refused, "other")[0] == "AttributeError"


@pytest.mark.parametrize("device", ["", "worker1/cuda:0", "/cpu"])
def test_bad_devices_are_refused(device):
    with pytest.raises(ValueError, match="Could not parse remote_device"):
        RemoteModule(device, nn.Identity)


def made_by(function):
    module = RemoteModule("worker1", function)
    return module(nb.ones(2)).tolist()


def double_layer():
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight, 2.0)
    nn.init.constant_(layer.bias, 0.0)
    return layer


def test_a_function_may_make_the_module(group2):
    assert group2.call(made_by, double_layer) == [4.0]


def test_what_is_no_module_is_refused(group2):
    with pytest.raises(ValueError, match=r"returns an instance of <class nn.Module>, but .*dict"):
        group2.call(made_by, dict)


class Hybrid(nn.Module):
    def __init__(self):
        super().__init__()
        self.near = nn.Dropout(0.5)
        self.far = RemoteModule("worker1", nn.Dropout, args=(0.5,))

    def forward(self, x):
        return self.near(self.far(x))


def hybrid():
    model = Hybrid()
    model.eval()
    found = [model(nb.ones(100)).sum().item(), isinstance(model.far, nn.Module), str(model)]
    try:
        list(model.parameters())
    except ValueError as error:
        found.append(str(error))
    return found


def test_it_is_a_part_of_a_model(group2):
    kept, is_module, text, error = group2.call(hybrid)
    assert kept == 100  # evaluation mode reached it
    assert is_module
    assert "RemoteModule(on='worker1')" in text
    assert error.startswith("Method ``named_modules`` not supported for RemoteModule")


def apply(module, x):
    return module(x), module.forward_async(x).wait(), sorted(vars(module))


def travel():
    module = RemoteModule("worker1", double_layer)
    module.extra = "stays here"
    here, there, names = rpc.rpc_sync("worker2", apply, (module, nb.ones(2)))
    with pytest.raises(RuntimeError, match="can only be pickled when using RPC"):
        pickle.dumps(module)
    rref = module.get_module_rref()
    back = rpc.rpc_sync("worker2", RemoteModule.init_from_module_rref, ("worker1", rref))
    return here.item(), there.item(), "on" in names, "extra" in names, back(nb.ones(2)).item()


def test_it_travels_and_is_used_there(group3):
    assert group3.call(travel) == (4.0, 4.0, True, False, 4.0)


def test_parameters_are_asked_for_by_another_name(group2):
    kind, text = group2.call(refused, "parameters")
    assert kind == "ValueError"
    assert text == (
        "Method ``parameters`` not supported for RemoteModule. Please use ``remote_parameters`` instead."
    )
