"""What is called after passes: in the order in which it came, while its object lives, and only for the caller's passes."""

import gc

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd import after

told = []
kept = []  # listeners of this worker that live on


class Listener:
    def __init__(self, name):
        self.name = name
        after.after_pass(self.note)

    def note(self, gradients):
        told.append((self.name, [g.tolist() for g in gradients.values()]))


def listen():
    told.clear()
    kept.append(Listener("elsewhere"))


def stop_listening():
    kept.clear()
    gc.collect()
    return told, len(after.listeners)


def square(x):
    return x * x


def passes():
    told.clear()
    first, second = Listener("first"), Listener("second")
    rpc.rpc_sync(1, listen)
    x = nb.full((1,), 3.0).requires_grad_()
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [rpc.rpc_sync(1, square, args=(x,)).sum()])
        both = told[:]
        del first
        gc.collect()
        dist_autograd.backward(context_id, [(x * 1).sum()])
    one = told[len(both) :]
    del second
    gc.collect()
    return both, one, len(after.listeners), rpc.rpc_sync(1, stop_listening)


def test_listeners_are_told_of_the_passes_of_their_worker(group2):
    both, one, n_left, elsewhere = group2.call(passes)
    assert both == [("first", [[6.0]]), ("second", [[6.0]])]
    assert one == [("second", [[7.0]])]
    assert n_left == 0
    assert elsewhere == ([], 0)
