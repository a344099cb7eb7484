"""What nodes of the graph are called: here by the name of the operation, in PyTorch by that of a C++ class."""


class Name(str):
    """The name of an operation, or of what else a node stands for; called, as in PyTorch, what the node is called there.

    Examples
    --------
    >>> import nbgrad as nb
    >>> y = nb.ones(1, requires_grad=True).log_softmax(0)
    >>> y.grad_fn.name, y.grad_fn.name()
    ('log_softmax', 'LogSoftmaxBackward0')
    """

    __slots__ = ()

    def __call__(self) -> str:
        return PYTORCH.get(self) or class_name(self)


PYTORCH = {
    "accumulate_grad": "torch::autograd::AccumulateGrad",
    "send_rpc": "torch::distributed::autograd::SendRpcBackward",
    "recv_rpc": "torch::distributed::autograd::RecvRpcBackward",
}


class FunctionName(Name):
    """The name of a user's Function."""

    __slots__ = ()

    def __call__(self) -> str:
        return f"{self}Backward"


def class_name(op: str) -> str:
    """'log_softmax' -> 'LogSoftmaxBackward0', the name that PyTorch users know."""
    return "".join(part[:1].upper() + part[1:] for part in op.split("_")) + "Backward0"
