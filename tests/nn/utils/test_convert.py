import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.errors import ShapeError


def test_there_and_back():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (9,)
    assert vector.requires_grad
    twin = nn.Linear(2, 3)
    nn.utils.vector_to_parameters(vector, twin.parameters())
    assert twin.weight.tolist() == net.weight.tolist()
    assert twin.weight.is_leaf
    with pytest.raises(ShapeError, match="need more"):
        nn.utils.vector_to_parameters(nb.zeros(3), twin.parameters())
