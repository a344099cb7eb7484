"""The interface: contexts, checks of roots in the original's order, gradients, modes, hooks, warnings."""

import re
import threading
import warnings

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd.api import check_roots
from nbgrad.errors import ContextError, GraphError, RpcError, ShapeError
from nbgrad.rpc import state
from nbgrad.shm.binding import block_of
from tests.groups import on_all


def mul(x, y):
    return x * y


def identity(x):
    return x


def raised(function, *args):
    """(type, text) of what a call raises, or None."""
    try:
        function(*args)
    except Exception as error:
        return type(error), str(error)
    return None


# ---------------------------------------------------------------- roots


def leaf(*shape):
    return nb.ones(*shape, requires_grad=True)


ROOTS = {  # in the order in which they are checked
    "none": (list, GraphError, "^No tensors provided for gradient computation"),
    "no grad": (lambda: [nb.ones(3)], GraphError, "^requires_grad not set on root 0"),
    "no scalar": (
        lambda: [leaf(3) * 2],
        ShapeError,
        r"shape \(3,\) is not a scalar, all roots need to be scalar",
    ),
    "no scalar, a leaf": (lambda: [leaf(3)], ShapeError, "not a scalar"),
    "a leaf": (lambda: [leaf(1)], GraphError, "root 0 does not have a valid gradient function"),
    "second": (lambda: [leaf(1) * 2, leaf(1)], GraphError, "root 1 does not have a valid"),
    "empty": (lambda: [nb.ones(0, requires_grad=True) * 2], ShapeError, "not a scalar"),
    "number": (lambda: [leaf(1) * 2, 5.0], TypeError, "root 1 is float, not a Tensor"),
}


@pytest.mark.parametrize("name", ROOTS)
def test_roots_are_checked_in_order(name):
    make, kind, text = ROOTS[name]
    with pytest.raises(kind, match=text) as caught:
        check_roots(make())
    assert isinstance(caught.value, RuntimeError | TypeError)


def test_roots_of_one_element_pass_whatever_their_shape():
    check_roots([leaf(1) * 2, leaf(1, 1) * 2, leaf(3).sum()])


def refused_arguments():
    x = leaf(3)
    loss = (x * 2).sum()
    with dist_autograd.context() as context_id:
        found = [
            raised(dist_autograd.backward, context_id, loss),
            raised(dist_autograd.backward, context_id, None),
            raised(dist_autograd.backward, None, [loss]),
            raised(dist_autograd.backward, 1 << 40, [loss]),
            raised(dist_autograd.backward, 1 << 40, []),
            raised(dist_autograd.backward, context_id, []),
        ]
        assert dist_autograd.get_gradients(context_id) == {}
        try:
            dist_autograd.backward(context_id, [loss], mode="smart")
        except ValueError as error:
            found.append((ValueError, str(error)))
        dist_autograd.backward(context_id, (loss,))
        assert dist_autograd.get_gradients(context_id)[x].array.tolist() == [2.0] * 3
    return found


def test_arguments_are_checked_before_anything_starts(group2):
    kinds_and_texts = [
        (TypeError, "incompatible function arguments: roots must be a list"),
        (TypeError, "incompatible function arguments: roots must be a list"),
        (TypeError, "incompatible function arguments: context_id must be an int"),
        (ContextError, "Could not find autograd context with id: 1099511627776"),
        (ContextError, "Could not find autograd context"),  # the context comes before the roots
        (GraphError, "No tensors provided"),
        (ValueError, "'smart'"),
    ]
    for found, (kind, text) in zip(group2.call(refused_arguments), kinds_and_texts, strict=True):
        assert issubclass(found[0], kind)
        assert re.search(text, found[1])


def test_everything_needs_a_group():
    with pytest.raises(RpcError, match="RPC has not been initialized"), dist_autograd.context():
        pass
    with pytest.raises(RpcError, match="RPC has not been initialized"):
        dist_autograd.get_gradients(0)
    with pytest.raises(ContextError, match="doesn't have a valid autograd context"):
        dist_autograd._current_context()
    assert dist_autograd.is_available()


# ---------------------------------------------------------------- contexts


def ids():
    found = []
    for _ in range(3):
        with dist_autograd.context() as context_id:
            current = dist_autograd._current_context()
            assert current is dist_autograd._retrieve_context(context_id)
            assert current._context_id() == context_id
            assert dist_autograd._is_valid_context(context_id) is None
            found.append(context_id)
    return found, dist_autograd._get_max_id(), rpc.rpc_sync(1, ids_there)


def ids_there():
    with dist_autograd.context() as context_id:
        return context_id, dist_autograd._get_max_id()


def test_ids_never_come_twice_and_name_their_worker(group2):
    found, highest, (there, highest_there) = group2.call(ids)
    assert len(set(found)) == 3
    assert {context_id >> 48 for context_id in found} == {0}
    assert there >> 48 == 1
    assert highest == (1 << 48) - 1
    assert highest_there == (1 << 49) - 1


def context_rules():
    found = {}
    with dist_autograd.context() as context_id:
        found["nested"] = raised(dist_autograd.context().__enter__)
        found["still current"] = dist_autograd._current_context()._context_id() == context_id
        in_thread = []
        thread = threading.Thread(
            target=lambda: in_thread.append(raised(dist_autograd._current_context))
        )
        thread.start()
        thread.join()
        found["thread"] = in_thread[0]
        found["callee"] = rpc.rpc_sync(1, current_there) == context_id
        found["async"] = rpc.rpc_async(1, current_there).wait() == context_id
        found["callback"] = (
            rpc.rpc_async(1, identity, (1,))
            .then(lambda done: raised(dist_autograd._current_context))
            .wait()
        )
    found["after"] = raised(dist_autograd._current_context)
    found["released"] = raised(dist_autograd._is_valid_context, context_id)
    found["gradients"] = raised(dist_autograd.get_gradients, context_id)
    found["release again"] = raised(dist_autograd._release_context, context_id)
    try:
        with dist_autograd.context():
            raise KeyError("body")
    except KeyError:
        found["after an error"] = raised(dist_autograd._current_context)
    found["callee after"] = rpc.rpc_sync(1, raised, (dist_autograd._current_context,))
    return found


def current_there():
    return dist_autograd._current_context()._context_id()


def test_contexts_follow_threads_and_calls(group2):
    found = group2.call(context_rules)
    assert found["still current"]
    assert found["callee"]
    assert found["async"]
    assert "Already have an autograd context id for this thread" in found["nested"][1]
    for place in ("thread", "callback", "after", "after an error", "callee after"):
        kind, text = found[place]
        assert issubclass(kind, ContextError), place
        assert "Current thread doesn't have a valid autograd context" in text
    for place in ("released", "gradients", "release again"):
        assert "Could not find autograd context with id" in found[place][1]


def known_and_functions():
    x, y = leaf(2), leaf(2)
    with dist_autograd.context() as context_id:
        context = dist_autograd._current_context()
        rpc.rpc_sync(1, identity, (1,))  # the id travels without any tensor, too
        known = context._known_worker_ids()
        before = len(context._send_functions()), len(context._recv_functions())
        rpc.rpc_sync(1, mul, (x, y))
        sends = list(context._send_functions().values())
        edges = [edge[0] for edge in sends[0].edges]
        same = rpc.rpc_sync(1, mul, (x, x))
        last = list(context._send_functions().values())[-1]
        there = rpc.rpc_sync(1, functions_there, (context_id,))
        return (
            known,
            before,
            (len(context._send_functions()), len(context._recv_functions())),
            edges[0] is x and edges[1] is y,
            len(last.edges),
            there,
            type(same.grad_fn).__name__,
            same.is_leaf,
        )


def functions_there(context_id):
    context = dist_autograd._retrieve_context(context_id)
    return (
        len(context._send_functions()),
        len(context._recv_functions()),
        context._known_worker_ids(),
    )


def test_what_a_context_records(group2):
    known, before, after, edges, same, there, grad_fn, is_leaf = group2.call(known_and_functions)
    assert known == {1}
    assert before == (0, 0)
    assert after == (2, 2)
    assert edges, "edges of a send: the tensors that require grad, in order"
    assert same == 1, "the same tensor twice is one edge"
    assert there == (2, 2, {0})
    assert grad_fn == "RecvRpcBackward"
    assert not is_leaf


# ---------------------------------------------------------------- gradients


def live_sums():
    x = leaf(3)
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [rpc.rpc_sync(1, mul, (x, x)).sum()])
        first = dist_autograd.get_gradients(context_id)
        first[x].array[0] = 100.0
        again = dist_autograd.get_gradients(context_id)
        dist_autograd.backward(context_id, [(x * 5).sum()])
        summed = dist_autograd.get_gradients(context_id)
        return (
            again is not first,
            again[x] is first[x],
            summed[x].array.tolist(),
            summed[x].requires_grad,
            x.grad is None,
        )


def test_gradients_are_live_sums_and_never_in_grad(group2):
    assert group2.call(live_sums) == (True, True, [105.0, 7.0, 7.0], False, True)


def aliased_cotangents():
    """One array for several leaves and messages: nobody writes into what another has."""
    x, y = leaf(4), leaf(4)
    with dist_autograd.context() as context_id:
        total = x + y + rpc.rpc_sync(1, identity, (x,)) + rpc.rpc_sync(1, identity, (y,))
        dist_autograd.backward(context_id, [total.sum()], retain_graph=True)
        found = dist_autograd.get_gradients(context_id)
        found[x].array[:] = -1
        dist_autograd.backward(context_id, [total.sum()])
        found = dist_autograd.get_gradients(context_id)
        return found[x].array.tolist(), found[y].array.tolist()


def test_gradients_share_no_memory(group2):
    assert group2.call(aliased_cotangents) == ([1.0] * 4, [4.0] * 4)


def large_gradients(n):
    """As above with arrays in the arena, which other workers hold."""
    x, y = leaf(n), leaf(n)
    with dist_autograd.context() as context_id:
        a, b = rpc.rpc_sync(1, mul, (x, y)), rpc.rpc_sync(1, mul, (y, x))
        total = a + b + x
        for _ in range(3):
            dist_autograd.backward(context_id, [total.sum()], retain_graph=True)
            found = dist_autograd.get_gradients(context_id)
            found[x].array[0] += 1
        return found[x].array[:2].tolist(), found[y].array[:2].tolist()


def test_gradients_in_the_arena_are_sums_of_their_own(group2):
    assert group2.call(large_gradients, 100_000) == ([12.0, 9.0], [6.0, 6.0])


class Hooked:
    """What a hook of this worker keeps."""

    gradients: list = []


def doubled(x, keep):
    if keep:
        x.register_hook(Hooked.gradients.append)
    return x + x


def is_kept(value):
    (g,) = Hooked.gradients
    Hooked.gradients.clear()
    return g.array.min() == g.array.max() == value


def owner_of_a_gradient(keep):
    """Whose arena the gradient of an argument lies in; it is written, which nobody else may see."""
    x = (nb.ones(1 << 16) * 2).detach().requires_grad_()
    agent = state.agent()
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, doubled, (x, keep)).sum()
        dist_autograd.backward(context_id, [loss])
        g = dist_autograd.get_gradients(context_id)[x]
        g.mul_(3)
        unchanged = not keep or rpc.rpc_sync(1, is_kept, (2.0,))
        again = dist_autograd.get_gradients(context_id)[x].sum().item() / (1 << 16)
        owner = block_of(g.array) - agent.binding.segment.address - agent.session.layout.arenas
        return owner // agent.session.layout.arena_bytes, again, unchanged


def test_a_gradient_that_its_sender_holds_no_more_is_not_copied(group2):
    assert group2.call(owner_of_a_gradient, False) == (1, 6.0, True)


def test_a_gradient_that_its_sender_keeps_is_copied(group2):
    assert group2.call(owner_of_a_gradient, True) == (0, 6.0, True)


# ---------------------------------------------------------------- no_grad, outside of a context


def under_no_grad():
    x = leaf(2)
    with dist_autograd.context() as context_id:
        with nb.no_grad():
            result = rpc.rpc_sync(1, mul, (x, x))
            mode = rpc.rpc_sync(1, nb.is_grad_enabled)
            own = rpc.rpc_sync(1, identity, (x,))
        after = rpc.rpc_sync(1, nb.is_grad_enabled)
        functions = dist_autograd._current_context()._send_functions()
        dist_autograd.backward(context_id, [(x * 3).sum()])
        found = dist_autograd.get_gradients(context_id)[x].array.tolist()
    return (
        result.requires_grad,
        mode,
        own.is_leaf,
        after,
        len(functions),
        found,
        nb.is_grad_enabled(),
    )


def test_no_grad_is_respected_on_both_sides(group2):
    assert group2.call(under_no_grad) == (False, False, True, True, 0, [3.0, 3.0], True)


def no_grad_there():
    """The callee's own no_grad ends with its call."""
    x = leaf(2)
    with dist_autograd.context() as context_id:
        cut = rpc.rpc_sync(1, mul_under_no_grad, (x, x))
        y = rpc.rpc_sync(1, mul, (x, x))
        dist_autograd.backward(context_id, [(y + cut).sum()])
        return cut.requires_grad, dist_autograd.get_gradients(context_id)[x].array.tolist()


def mul_under_no_grad(x, y):
    nb.set_grad_enabled(False)
    return x * y


def test_a_mode_that_the_callee_sets_ends_with_the_call(group2):
    assert group2.call(no_grad_there) == (False, [2.0, 2.0])


def outside():
    x = leaf(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [rpc.rpc_sync(1, identity, (x,)) for _ in range(3)]  # one place in the source
        rpc.rpc_sync(1, identity, (x,))
        with nb.no_grad():
            rpc.rpc_sync(1, identity, (x,))
        rpc.rpc_sync(1, identity, (x.detach(),))
    told = [(str(w.message), w.filename.endswith("test_api.py")) for w in caught]
    return told, [(r.is_leaf, r.requires_grad) for r in results]


def test_a_graph_that_is_cut_is_told_once_per_place(group2):
    told, results = group2.call(outside)
    assert len(told) == 2
    assert all("outside a distributed autograd context" in text and here for text, here in told)
    assert results == [(True, True)] * 3


# ---------------------------------------------------------------- hooks


def hooks_on_leaves():
    """Once, on the sum of the pass; what it returns is what is kept."""
    x, seen = leaf(2), []
    x.register_hook(lambda g: seen.append(g.array.tolist()))
    x.register_hook(lambda g: g * 10)
    with dist_autograd.context() as context_id:
        total = rpc.rpc_sync(1, mul, (x, x)) + rpc.rpc_sync(1, identity, (x,)) + x
        dist_autograd.backward(context_id, [total.sum()])
        return seen, dist_autograd.get_gradients(context_id)[x].array.tolist()


def test_hooks_of_a_leaf_see_the_sum_once(group2):
    assert group2.call(hooks_on_leaves) == ([[4.0, 4.0]], [40.0, 40.0])


def hooks_on_results():
    x, seen = leaf(2), []
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, mul, (x, x))
        y.register_hook(lambda g: seen.append(g.array.tolist()))
        y.register_hook(lambda g: g * 2)
        z = y * 3
        z.retain_grad()
        dist_autograd.backward(context_id, [z.sum()])
        return (
            seen,
            z.grad.array.tolist(),
            dist_autograd.get_gradients(context_id)[x].array.tolist(),
        )


def test_hooks_on_rpc_results_and_retain_grad(group2):
    assert group2.call(hooks_on_results) == ([[3.0, 3.0]], [1.0, 1.0], [12.0, 12.0])


def retained_there():
    x = leaf(2)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, keep, (x,))
        dist_autograd.backward(context_id, [y.sum()])
        return rpc.rpc_sync(1, kept)


class Kept:
    tensor = None


def keep(x):
    Kept.tensor = x * 2
    Kept.tensor.retain_grad()
    return Kept.tensor * 5


def kept():
    return Kept.tensor.grad.array.tolist()


def test_retain_grad_on_another_worker(group2):
    assert group2.call(retained_there) == [5.0, 5.0]


def absent_hooks():
    """A hook of what the loss does not reach is not called."""
    x, y, seen = leaf(2), leaf(2), []
    y.register_hook(seen.append)
    with dist_autograd.context() as context_id:
        unused = rpc.rpc_sync(1, mul, (y, y))
        unused.register_hook(seen.append)
        dist_autograd.backward(context_id, [rpc.rpc_sync(1, mul, (x, x)).sum()])
        return seen, y in dist_autograd.get_gradients(context_id)


def test_hooks_of_what_is_unused_are_not_called(group2):
    assert group2.call(absent_hooks) == ([], False)


def local_backward_in_context():
    x = leaf(2)
    with dist_autograd.context():
        y = rpc.rpc_sync(1, mul, (x, x)).sum()
        error = raised(y.backward)
        (x * 2).sum().backward()
    return error, x.grad.array.tolist()


def test_backward_of_one_process_says_where_the_graph_goes(group2):
    (kind, text), grad = group2.call(local_backward_in_context)
    assert issubclass(kind, GraphError)
    assert "dist_autograd.backward" in text
    assert grad == [2.0, 2.0]


def dtypes():
    x = nb.tensor(np.ones(3), requires_grad=True)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, mul, (x, x))
        dist_autograd.backward(context_id, [y.sum()])
        return str(dist_autograd.get_gradients(context_id)[x].array.dtype)


def test_dtypes_are_kept(group2):
    assert group2.call(dtypes) == "float64"


def nothing_open():
    return on_all(dist_autograd._get_debug_info)


def test_debug_info_of_an_idle_group(group2):
    for found in group2.call(nothing_open):
        assert found == {"num_current_backward_passes": 0, "num_autograd_contexts": 0}
