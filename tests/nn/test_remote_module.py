"""RemoteModule: a module elsewhere, trained from here."""

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, nn, optim
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
        getattr(module, name)
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


def test_what_is_no_module_is_refused():
    with pytest.raises(ValueError, match="Module class"):
        RemoteModule("worker1", dict)
