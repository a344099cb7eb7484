"""The reducer: buckets start in order while backward runs, and what a gradient shows."""

import numpy as np

import nbgrad as nb
from nbgrad.collectives.membership import State
from nbgrad.parallel.reducer import Reducer
from tests.collectives.everywhere import error_of, everywhere


def overlapping(rank, world):
    """Buckets that were started before the gradient of the first parameter was there."""
    params = [nb.nn.Parameter(nb.full((40,), float(k + 1))) for k in range(4)]
    reducer = Reducer(State.default, params, 100, True)
    assert reducer.n_buckets == 4
    started = []
    params[1].register_post_accumulate_grad_hook(lambda p: started.append(reducer.plan.n_started))
    reducer.arm((), 1.0)
    x = nb.full((40,), rank + 1.0)
    for p in params:
        x = x * p
    x.sum().backward()
    found = [p.grad.tolist()[0] for p in params]
    assert all(not p.grad.array.flags.writeable for p in params), "the shared result itself"
    kept, view = params[0].grad, params[3].grad
    params[0].grad = None
    nb.nn.utils.clip_grad_norm_([params[3]], 1e-3)
    assert params[3].grad is view
    reducer.arm((), 1.0)
    (params[0] * 2).sum().backward()
    after = params[0].grad.tolist()[0], kept.tolist()[0], abs(view.tolist()[0]) < 1e-3
    unused = params[1].grad.tolist()[0]
    reducer.close()
    return started, found, after, unused


def test_sums_begin_while_backward_runs(group2):
    for started, found, after, unused in group2.call(everywhere, overlapping):
        assert started == [3], "its own and those before it, not the first layer's"
        assert found == [24 * 1.5 / k for k in (1, 2, 3, 4)]
        assert after == (2.0, 36.0, True), "a gradient that was kept does not change"
        assert unused == 18.0


def failed(rank, world):
    params = [nb.nn.Parameter(nb.ones(40)) for _ in range(2)]
    reducer = Reducer(State.default, params, 100, False)
    reducer.plan.group.timeout_s = 2.0
    if rank == 1:
        reducer.arm((), 1.0)
        (params[0] * params[1]).sum().backward()
        return None

    def fail(g):
        raise ValueError("planted")

    x = params[0] * 1
    x.register_hook(fail)
    reducer.arm((), 1.0)
    first = error_of((x * params[1]).sum().backward)
    return first, error_of(reducer.arm, (), 1.0)


def test_a_pass_that_fails_is_told(group2):
    error = None
    try:
        group2.call(everywhere, failed)
    except Exception as found:
        error = found
    assert (
        "rank 0 has given up" in str(error)
        or "rank 0 has left" in str(error)
        or "Timeout" in type(error).__name__
    )


def sparse(rank, world):
    table = nb.nn.Embedding(5, 2, sparse=True)
    reducer = Reducer(State.default, list(table.parameters()), 100, False)
    reducer.arm((), 1.0)
    table(nb.tensor([rank])).sum().backward()
    found = table.weight.grad.tolist()
    reducer.close()
    return found


def test_sparse_gradients_become_dense(group2):
    expected = np.zeros((5, 2))
    expected[:2] = 0.5
    assert group2.call(everywhere, sparse)[1] == expected.tolist()
