"""Gradients of the differentiable collectives, against the same program in one process.

The loss is the sum over members of the sum of weights times results; each member's weights are its own.
"""

import numpy as np

import nbgrad as nb
import nbgrad.distributed as dist
from nbgrad.distributed import ReduceOp
from nbgrad.distributed.nn import functional as F
from tests.collectives.everywhere import error_of, everywhere

SHAPE = (3, 2)


def values(rank, k=0, shape=SHAPE):
    return np.random.default_rng((rank, k)).normal(size=shape)


def leaf(rank, k=0, shape=SHAPE):
    return nb.tensor(values(rank, k, shape), requires_grad=True)


def weights(rank, k=0, shape=SHAPE):
    return nb.tensor(values(rank, 50 + k, shape))


def summed(xs, op):
    """What all_reduce does, in one process."""
    if op == ReduceOp.PRODUCT:
        y = xs[0]
        for x in xs[1:]:
            y = y * x
        return y
    stacked = nb.stack(xs)
    if op in (ReduceOp.MIN, ReduceOp.MAX):
        return stacked.amin(0) if op == ReduceOp.MIN else stacked.amax(0)
    return stacked.mean(0) if op == ReduceOp.AVG else stacked.sum(0)


# Per collective: what a member computes of its leaves, and what all members compute of all leaves, by rank.


def one(name, rank, world, xs):
    """[(result, number of its weights)] of a member with the leaves `xs`: one per member."""
    x = xs[0]
    if name.startswith("all_reduce"):
        return [(F.all_reduce(x * 2, ReduceOp[name[11:]]), 0)]
    if name.startswith("reduce "):
        y = F.reduce(x * 2, 1, ReduceOp[name[7:]])
        return [(y, 0)] if rank == 1 else [(y * 0, 0)]
    if name == "broadcast":
        return [(F.broadcast(x * 2, 1), 0)]
    if name == "all_gather":
        return [(y, k) for k, y in enumerate(F.all_gather(x * 2)) if (k + rank) % 3]
    if name == "gather":
        return [(y, k) for k, y in enumerate(F.gather(x * 2, dst=1))]
    if name == "scatter":
        return [(F.scatter([y * 2 for y in xs], src=1), 0)]
    if name.startswith("reduce_scatter"):
        y = F.reduce_scatter(nb.zeros(*SHAPE).double(), [y * 2 for y in xs], ReduceOp[name[15:]])
        return [(y, 0)]
    if name == "all_to_all":
        outs = F.all_to_all([nb.zeros(*SHAPE).double()] * world, [y * 2 for y in xs])
        return [(y, k) for k, y in enumerate(outs) if k or rank]
    whole = nb.cat([y * 2 for y in xs])
    out = F.all_to_all_single(nb.zeros(*whole.shape).double(), whole)
    return [(y, k) for k, y in enumerate(out.split(SHAPE[0]))]


def all_at_once(name, world, leaves):
    """The same for all members, in one process: one list per rank."""
    xs = [[x * 2 for x in own] for own in leaves]
    firsts = [own[0] for own in xs]
    ranks = range(world)
    if name.startswith("all_reduce"):
        return [[(summed(firsts, ReduceOp[name[11:]]), 0)]] * world
    if name.startswith("reduce "):
        return [[(summed(firsts, ReduceOp[name[7:]]), 0)] if r == 1 else [] for r in ranks]
    if name == "broadcast":
        return [[(firsts[1], 0)]] * world
    if name == "all_gather":
        return [[(firsts[k], k) for k in ranks if (k + r) % 3] for r in ranks]
    if name == "gather":
        return [[(firsts[k], k) for k in ranks] if r == 1 else [] for r in ranks]
    if name == "scatter":
        return [[(xs[1][r], 0)] for r in ranks]
    if name.startswith("reduce_scatter"):
        op = ReduceOp[name[15:]]
        return [[(summed([xs[p][r] for p in ranks], op), 0)] for r in ranks]
    return [[(xs[p][r], p) for p in ranks if name != "all_to_all" or p or r] for r in ranks]


NAMES = [
    *[f"all_reduce {op}" for op in ("SUM", "AVG", "PRODUCT", "MIN", "MAX")],
    "reduce SUM",
    "reduce AVG",
    "broadcast",
    "all_gather",
    "gather",
    "scatter",
    "reduce_scatter SUM",
    "reduce_scatter AVG",
    "all_to_all",
    "all_to_all_single",
]


def loss_of(results, rank):
    terms = [(y * weights(rank, k)).sum() for y, k in results]
    return sum(terms[1:], terms[0]) if terms else nb.zeros(1).double().sum()


def all_gradients(rank, world):
    return {name: gradients(rank, world, name) for name in NAMES}


def gradients(rank, world, name):
    xs = [leaf(rank, k) for k in range(world)]
    loss = loss_of(one(name, rank, world, xs), rank)
    loss.backward()
    return loss.item(), [None if x.grad is None else x.grad.array.copy() for x in xs]


def test_gradients_are_those_of_one_process(group3):
    found = group3.call(everywhere, all_gradients)
    for name in NAMES:
        compare(name, [here[name] for here in found])


def compare(name, found):
    world = len(found)
    leaves = [[leaf(rank, k) for k in range(world)] for rank in range(world)]
    losses = [loss_of(rs, r) for r, rs in enumerate(all_at_once(name, world, leaves))]
    sum(losses[1:], losses[0]).backward()
    for rank, (loss, grads) in enumerate(found):
        np.testing.assert_allclose(loss, losses[rank].item(), rtol=1e-12, atol=1e-12, err_msg=name)
        for mine, x in zip(grads, leaves[rank]):
            wanted = 0 if x.grad is None else x.grad.array
            mine = 0 if mine is None else mine
            np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=1e-12, err_msg=name)


def ties_and_zeros(rank, world):
    x = nb.tensor([1.0, float(rank), 0.0], requires_grad=True)
    F.all_reduce(x, ReduceOp.MAX).sum().backward()
    y = nb.tensor([0.0, 2.0], requires_grad=True)
    F.all_reduce(y * 1 if rank else y + nb.tensor([3.0, 0.0]), ReduceOp.PRODUCT).sum().backward()
    return x.grad.tolist(), y.grad.tolist()


def test_ties_share_and_zeros_have_a_gradient(group2):
    (a, p), (b, q) = group2.call(everywhere, ties_and_zeros)
    assert (a, b) == (
        [1.0, 0.0, 1.0],
        [1.0, 2.0, 1.0],
    )  # two losses; equal parts where both have it
    assert (p, q) == ([0.0, 4.0], [6.0, 4.0])


def uneven(rank, world):
    ins, outs = ([1, 2], [1, 3]) if rank == 0 else ([3, 1], [2, 1])
    x = leaf(rank, 0, (sum(ins), 2))
    y = F.all_to_all_single(nb.zeros(sum(outs), 2).double(), x, outs, ins)
    (y * (rank + 1)).sum().backward()
    return x.grad.array[:, 0].tolist()


def test_rows_of_different_numbers(group2):
    assert group2.call(everywhere, uneven) == [[1.0, 2.0, 2.0], [1.0, 1.0, 1.0, 2.0]]


def refused(rank, world):
    x = leaf(rank)
    return [
        error_of(F.reduce, x, 0, ReduceOp.MAX)[1],
        error_of(F.scatter, [x], 0)[1],
        error_of(F.all_reduce, x, "sum")[1],
        error_of(F.all_reduce, x, group=dist.GroupMember.NON_GROUP_MEMBER)[1],
    ]


def test_what_has_no_gradient_is_refused(group2):
    for found in group2.call(everywhere, refused):
        parts = ["has no gradient here", "2 of them", "'sum'", "not a member"]
        assert all(part in text for text, part in zip(found, parts)), found
