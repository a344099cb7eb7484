"""Names of TorchScript for `isinstance` in programs written for PyTorch: nothing here is compiled by it, so nothing is one."""


class ScriptFunction:
    """No function is one; to compile a step, use `nbgrad.compile`, to compile a kernel `nbgrad.jit.kernel`.

    >>> import nbgrad as nb
    >>> isinstance(nb.add, nb.jit.ScriptFunction)
    False
    """


class ScriptModule:
    """No module is one."""
