"""Checks of PyTorch programs for TorchScript find nothing of the kind."""

import nbgrad as nb


def test_nothing_is_a_script():
    assert not isinstance(nb.mul, nb.jit.ScriptFunction)
    assert not isinstance(nb.nn.Linear(1, 1), nb.jit.ScriptModule)
