"""Names of nodes: text for us, and a call that gives PyTorch's."""

import pickle

import nbgrad as nb
from nbgrad.autograd.node_name import Name, class_name


class Twice(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


def test_names_of_operations_functions_and_leaves():
    x = nb.ones(2, requires_grad=True)
    y = x + x
    assert (y.grad_fn.name, y.grad_fn.name()) == ("add", "AddBackward0")
    assert Twice.apply(x).grad_fn.name() == "TwiceBackward"
    leaf = y.grad_fn.next_functions[0][0]
    assert (leaf.name, leaf.name()) == ("accumulate_grad", "torch::autograd::AccumulateGrad")


def test_a_name_is_text_and_travels():
    name = Name("log_softmax")
    assert name == "log_softmax"
    assert repr(name) == "'log_softmax'"
    assert pickle.loads(pickle.dumps(name))() == class_name("log_softmax") == "LogSoftmaxBackward0"
