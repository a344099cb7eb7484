"""FAST mode's hang table: each situation that made the original hang, time out, or work after all.

"auto" gives the gradients, and absences, of the same program in one process in every row.  "fast" gives gradients where
all results are used; where some are not it says so at once, and names exactly those.
"""

import pytest

import nbgrad as nb
from nbgrad import rpc
from tests.dist_autograd.worlds import (
    across,
    add,
    identity,
    in_one_process,
    mul,
    own_alone,
    slow_vjp,
    times_own,
)

MOST_S = 0.1  # until "fast" complains
TRIES = 3  # the fastest counts: the machine has other work


def result(function, source, target):
    """How `fast` names a result that is not used."""
    return f"the result of {function}, sent from 'worker{source}' to 'worker{target}'"


def argument(function, source, target):
    """How `fast` names a call whose result does not depend on its arguments."""
    return f"{function}, sent from 'worker{source}' to 'worker{target}'"


# ---------------------------------------------------------------- what runs on other workers


def number(x):
    return 7


def nothing(x):
    return None


def detached(x):
    return (x * 2).detach()


def both(x):
    return x * 2, x * 3


def twice(x):
    y = x * 2
    return y, y


def in_place(x):
    with nb.no_grad():
        x.add_(1)
    return x * 2


def call_and_ignore(x):
    if rpc._is_current_rpc_agent_set():
        rpc.rpc_sync(2, mul, (x, x))
    return x * 3


# ---------------------------------------------------------------- the rows

TABLE = []  # (program, what `fast` names)


def row(*unused):
    """Add a program to the table; no `unused`: "fine"."""

    def add_row(program):
        TABLE.append(pytest.param(program, list(unused), id=program.__name__))
        return program

    return add_row


@row()
def all_used(run, x, y):
    run.backward([run.call(1, add, x, y).sum()])


# An RPC with a tensor that requires grad, whose result is not used by the root: hang; timeout where another, used RPC
# goes to the same worker.


@row(result("mul", 1, 0))
def unused_and_nothing_else(run, x, y):
    run.call(1, mul, x, y)
    run.backward([(x * x).sum()])


@row(result("mul", 2, 0))
def unused_beside_a_used_one_on_another_worker(run, x, y):
    run.call(2, mul, x, y)
    run.backward([run.call(1, add, x, y).sum()])


@row(result("mul", 1, 0))
def unused_beside_a_used_one_on_the_same_worker(run, x, y):
    run.call(1, mul, x, y)
    run.backward([run.call(1, add, x, y).sum()])


@row(result("mul", 2, 1))
def unused_inside_of_a_used_one(run, x, y):
    run.backward([run.call(1, call_and_ignore, x).sum()])


@row(result("mul", 1, 0), result("mul", 2, 0), result("times_own", 2, 0))
def several_unused(run, x, y):
    run.call(1, mul, x, y)
    run.call(2, mul, x, y)
    run.call(2, times_own, y)
    run.backward([run.call(1, add, x, y).sum()])


@row(result("mul", 1, 0))
def unused_chain(run, x, y):
    """The head of the chain is unused, so that is named; what it rests on is used by it."""
    run.call(1, mul, run.call(2, mul, run.call(1, add, x, y), x), y)
    run.backward([run.call(1, add, x, y).sum()])


# The callee returns a value that does not depend on the argument: hang.


@row(argument("number", 0, 1))
def returns_a_number(run, x, y):
    run.call(1, number, x)
    run.backward([run.call(1, add, x, x).sum()])


@row(argument("nothing", 0, 2))
def returns_nothing(run, x, y):
    run.call(2, nothing, y)
    run.backward([(x * 2).sum()])


@row(argument("detached", 0, 1))
def returns_a_detached_tensor(run, x, y):
    run.backward([(run.call(1, detached, x) * y).sum()])


@row(argument("own_alone", 0, 1))
def returns_what_comes_from_its_own_parameters_only(run, x, y):
    run.backward([(run.call(1, own_alone, x) * y).sum()])


# rref.to_here() twice, one copy unused: timeout.


@row(result("fetch", 1, 0))
def two_copies_of_one_value_of_which_one_is_used(run, x, y):
    used, _ = run.fetch(1, times_own, x, times=2)
    run.backward([used.sum()])


# Two losses in one context: hang on different workers, timeout on the same one; also forward, backward, forward, backward.


@row(result("times_own", 2, 0))
def two_losses_on_different_workers(run, x, y):
    first, second = run.call(1, add, x, y).sum(), run.call(2, times_own, x).sum()
    run.backward([first])
    run.backward([second])


@row(result("times_own", 1, 0))
def two_losses_on_one_worker(run, x, y):
    first, second = run.call(1, add, x, y).sum(), run.call(1, times_own, x).sum()
    run.backward([first])
    run.backward([second])


@row(result("mul", 1, 0))
def forward_backward_forward_backward(run, x, y):
    for _ in range(2):
        run.backward([run.call(1, mul, x, y).sum()])


# One output of an RPC with several is unused: fine.


@row()
def one_of_two_outputs(run, x, y):
    a, _ = run.call(1, both, x)
    run.backward([(a * y).sum()])


# The remote backward takes longer than the RPC timeout: error.


@row()
def longer_than_the_rpc_timeout(run, x, y):
    is_across = rpc._is_current_rpc_agent_set()
    before = rpc.get_rpc_timeout() if is_across else 0
    loss = run.call(1, slow_vjp, x, 0.2).sum()
    if is_across:
        rpc._set_rpc_timeout(0.05)
    try:
        run.backward([loss])
    finally:
        if is_across:
            rpc._set_rpc_timeout(before)


# An identity round trip, one object returned twice, an in-place operation on the copy that came: fine.


@row()
def identity_round_trip(run, x, y):
    run.backward([(run.call(1, identity, x) * y).sum()])


@row()
def one_object_returned_twice(run, x, y):
    a, b = run.call(1, twice, x)
    run.backward([(a * b).sum()])


@row()
def in_place_on_the_copy_that_came(run, x, y):
    run.backward([run.call(1, in_place, x).sum()])


# ---------------------------------------------------------------- what comes out


@pytest.mark.parametrize(("program", "unused"), TABLE)
def test_auto(group3, program, unused):
    found = group3.call(across, program, "auto")
    assert found.error is None
    assert found.gradients == in_one_process(program)


@pytest.mark.parametrize(("program", "unused"), TABLE)
def test_fast(group3, program, unused):
    found = group3.call(across, program, "fast")
    if not unused:
        assert found.error is None
        for gradient, expected in zip(found.gradients, in_one_process(program), strict=True):
            assert gradient == expected or (expected is None and gradient in (None, [0.0, 0.0]))
        return
    assert found.error is not None
    assert named(found.error) == sorted(unused)
    assert found.after is not None, "the context can be used again"
    tries = [
        found.seconds,
        *(group3.call(across, program, "fast").seconds for _ in range(TRIES - 1)),
    ]
    assert min(tries) < MOST_S


def named(text):
    """The results that a FastModeError lists."""
    return sorted(line.strip() for line in text.splitlines() if line.startswith("  "))


def test_the_table_is_whole():
    ids = [param.id for param in TABLE]
    assert len(ids) == len(set(ids))
    assert sum(not param.values[1] for param in TABLE) >= 6
    assert len(TABLE) >= 20
