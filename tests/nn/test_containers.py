import nbgrad as nb
from nbgrad import nn


def test_sequential():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    net.append(nn.Linear(3, 1))
    assert len(net) == 3
    assert net(nb.ones(4, 2)).shape == (4, 1)
    assert net[-1] is list(net)[2]
    assert len(net[:2]) == 2
    assert net[:2][0] is net[0]
    named = nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh()})
    assert named.b(nb.zeros(1)).item() == 0


def test_module_list():
    layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(2))
    layers.append(nn.ReLU()).extend([nn.Tanh()])
    layers[-1] = nn.Sigmoid()
    assert [type(m).__name__ for m in layers] == ["Linear", "Linear", "ReLU", "Sigmoid"]
    assert len(layers[1:]) == 3
    assert len(list(layers.parameters())) == 4


def test_module_dict():
    heads = nn.ModuleDict({"a": nn.Linear(1, 1)})
    heads["b"] = nn.ReLU()
    heads.update({"c": nn.Tanh()})
    assert list(heads) == list(heads.keys()) == ["a", "b", "c"]
    assert "b" in heads
    assert len(heads) == 3
    del heads["b"]
    assert [name for name, _ in heads.items()] == ["a", "c"]
    assert len(list(heads.values())) == 2
    assert len(list(heads.parameters())) == 2


def test_parameter_list():
    ps = nn.ParameterList([nn.Parameter(nb.zeros(1))])
    ps.append(nn.Parameter(nb.ones(1)))
    assert [p.item() for p in ps] == [0, 1]
    assert ps[1].item() == 1
    assert len(ps) == len(list(ps.parameters())) == 2
