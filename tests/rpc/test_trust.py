"""A group of trust "registered": what is marked runs, everything else is refused, on both ends, by name."""

import dataclasses
import functools
import os
import pickle
import threading

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, optim, rpc
from nbgrad.errors import BackwardError, NotRegistered, RemoteError, RpcEncodeError
from nbgrad.futures import Future
from nbgrad.nn.remote_module import RemoteModule
from nbgrad.rpc import codec, state, trust
from nbgrad.rpc.message import CALL, HAS_ARGUMENTS, INTERN
from tests import groups


@pytest.fixture(scope="module")
def strict():
    """Two workers that let registered functions be called only."""
    with groups.fresh(2, options={"trust": "registered"}, modules=[__name__]) as group:
        yield group


def refused(kind, function, *args, **kwargs):
    """The text of the error of that type that the call raises."""
    try:
        function(*args, **kwargs)
    except kind as error:
        return str(error)
    raise AssertionError("nothing was raised")


# ---------------------------------------------------------------- what is marked


@rpc.register
def echo(*args, **kwargs):
    return args, kwargs


@rpc.register
@dataclasses.dataclass
class Sample:
    x: object
    name: str


@rpc.register
class Store:
    """A value that is reached through RRefs."""

    limit = 3

    def __init__(self, n):
        self.n = n

    def add(self, n):
        self.n += n
        return self.n

    def __len__(self):
        return self.n

    def _secret(self):
        return "secret"

    @staticmethod
    def double(n):
        return 2 * n

    @rpc.functions.async_execution
    def later(self):
        return Future.finished_with(self.n)


class Unmarked:
    def method(self):
        return 1


@rpc.register
def make_unmarked():
    return rpc.RRef(Unmarked())


@rpc.register
@rpc.functions.async_execution
def answer_later(x):
    future = Future()
    threading.Timer(0.01, future.set_result, (x,)).start()
    return future


def plain_calls():
    x, a = nb.ones(3), np.arange(4)
    args = (1, 2.5, "text", None, [x, {"k": a}], Sample(x, "s"), np.float32(2))
    came, kwargs = rpc.rpc_sync(1, echo, args, {"key": (a, a)})
    assert came[:4] == args[:4]
    assert came[4][0].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(came[4][1]["k"], a)
    assert type(came[5]) is Sample
    assert came[5].x is came[4][0]
    assert type(came[6]) is np.float32
    assert kwargs["key"][0] is kwargs["key"][1]
    assert rpc.rpc_async(1, answer_later, (7,)).wait() == 7
    assert rpc.rpc_sync(0, echo, (5,)) == ((5,), {})
    return rpc.rpc_sync(1, echo, ("x" * 500_000,))[0][0] == "x" * 500_000  # in pieces


def test_registered_functions_run_with_plain_arguments(strict):
    assert strict.call(plain_calls)


def references():
    store = rpc.remote(1, Store, (5,))
    results = [
        store.rpc_sync().add(2), store.rpc_async().double(4).wait(), store.remote().add(1).to_here(),
        store.rpc_sync().later(), store.rpc_sync().__len__(), store._get_type() is Store,
    ]  # fmt: skip
    own = rpc.RRef([1, 2])
    (came,), _ = rpc.rpc_sync(1, echo, (own,))
    return results, came.local_value()


def test_rrefs_travel_and_give_access_to_public_methods(strict):
    assert strict.call(references) == ([7, 8, 8, 8, 8, True], [1, 2])


def not_by_reference():
    store = rpc.remote(1, Store, (5,))
    unmarked = rpc.rpc_sync(1, make_unmarked)
    calls = store.rpc_sync(), unmarked.rpc_sync()
    return [
        refused(NotRegistered, calls[0]._secret),
        refused(NotRegistered, calls[0].limit),
        refused(NotRegistered, calls[0].nothing),
        refused(NotRegistered, calls[1].method),
        refused(NotRegistered, calls[0]._call, "__reduce__", (), {}),
        refused(NotRegistered, calls[0]._call, "__init__", (), {}),
        refused(NotRegistered, calls[0]._call, 5, (), {}),
    ]


def test_private_and_unmarked_methods_are_refused_at_the_owner(strict):
    for text in strict.call(not_by_reference):
        assert "RRefs give access to public methods of registered classes only" in text


# ---------------------------------------------------------------- refused at the call


def unmarked_function():
    return 1


def refuse_calls():
    bound = Store(1).add
    return [
        refused(NotRegistered, rpc.rpc_sync, 1, function)
        for function in (unmarked_function, os.getpid, lambda: 0, functools.partial(echo, 1), bound, Unmarked, print)
    ]  # fmt: skip


def test_unmarked_functions_are_refused_at_the_call(strict):
    texts = strict.call(refuse_calls)
    names = ["unmarked_function", "getpid", "<lambda>", "partial", "Store.add", "Unmarked", "print"]
    for text, name in zip(texts, names, strict=True):
        assert name in text
        assert "Put @rpc.register above its definition" in text


class Evil:
    def __reduce__(self):
        return os.abort, ()


def refuse_arguments():
    return [
        refused(RpcEncodeError, rpc.rpc_sync, 1, echo, (1, {"x": [Unmarked()]})),
        refused(RpcEncodeError, rpc.rpc_sync, 1, echo, (), {"key": Evil()}),
        refused(RpcEncodeError, rpc.rpc_sync, 1, echo, (lambda: 0,)),
        refused(RpcEncodeError, rpc.remote, 1, unmarked_function),
    ]


def test_other_arguments_are_refused_with_their_place(strict):
    one, two, three, four = strict.call(refuse_arguments)
    assert "the arguments of echo" in one
    assert "[0][1]['x'][0]): Unmarked is not registered" in one
    assert "[1]['key']): Evil is not registered" in two
    assert "<lambda> is not registered" in three
    assert "unmarked_function is not registered" in four


@rpc.register
def give(what):
    return {"unmarked": Unmarked(), "function": unmarked_function}[what]


def refuse_results():
    return [
        refused(RpcEncodeError, rpc.rpc_sync, 1, give, (what,)) for what in ("unmarked", "function")
    ]


def test_results_too(strict):
    for text in strict.call(refuse_results):
        assert "can't send the result of a remote call" in text
        assert "is not registered" in text


# ---------------------------------------------------------------- refused by a callee that is attacked


class Marks:
    """Whether the callee ran what it should not."""

    ran: list = []


def ran():
    Marks.ran.append(True)


class RunsOnUnpickling:
    def __reduce__(self):
        return ran, ()


@rpc.register
def has_run():
    return bool(Marks.ran)


def raw_call(target, number, extra):
    """A call with these bytes, as a worker sends it that ignores all rules."""
    agent = state.agent()
    future = Future(agent=agent)
    future.text, future.targets = "a raw call", 1 << target
    call = agent.new_call(future)
    agent.set_deadline(future, 10)
    agent.post(target, 0, CALL, call, -1, 0, number, 0, 0, (), extra)
    return future


def attack():
    agent, names = state.agent(), []
    evil = pickle.dumps((RunsOnUnpickling(), {}))
    for k, name in enumerate(
        (f"{__name__}:ran", "os:getpid", "builtins:eval", "this:s", "nonsense")
    ):
        agent.post(1, 0, INTERN, 900 + k, 0, 0, 0, 0, 0, (), name.encode())
        names.append(refused(NotRegistered, raw_call(1, 900 + k, None).wait))
    function = agent.calls.intern(1, echo)
    pickles = [
        refused(NotRegistered, raw_call(1, number, evil).wait)
        for number in (0, function | HAS_ARGUMENTS)
    ]
    return names, pickles, rpc.rpc_sync(1, has_run)


def test_a_callee_refuses_names_and_pickles_of_a_caller_without_rules(strict):
    names, pickles, did_run = strict.call(attack)
    assert all("is not registered on this worker" in text for text in names)
    assert all("a pickled message is refused" in text for text in pickles)
    assert not did_run


# ---------------------------------------------------------------- errors


class UnmarkedError(Exception):
    pass


@rpc.register
class MarkedError(Exception):
    pass


@rpc.register
def fail(which):
    raise {"builtin": KeyError("k"), "marked": MarkedError("m"), "unmarked": UnmarkedError("u")}[
        which
    ]


def catch(which):
    try:
        rpc.rpc_sync(1, fail, (which,))
    except Exception as error:
        return type(error), str(error), "in fail" in error.remote_traceback
    return None


def call_by_damaged_names():
    agent, errors = state.agent(), []
    numbers = agent.calls.ids[1]
    before = numbers.pop(echo, None)
    for number, name in ((900, None), (901, b"\xff\xfe"), (902, b":")):
        agent.post(1, 0, INTERN, number, 0, 0, 0, 0, 0, (), name)
        numbers[echo] = number
        try:
            rpc.rpc_sync(1, echo)
        except NotRegistered as error:
            errors.append(str(error))
        finally:
            del numbers[echo]
    if before is not None:
        numbers[echo] = before
    return errors, rpc.rpc_sync(1, echo, (5,))


def test_damaged_names_of_functions_are_errors_of_their_calls(strict):
    errors, answer = strict.call(call_by_damaged_names)
    assert len(errors) == 3
    assert answer == ((5,), {})


def test_errors_are_rebuilt_where_their_type_is_known(strict):
    assert strict.call(catch, "builtin") == (KeyError, repr("'k'"), True)
    assert strict.call(catch, "marked") == (MarkedError, "m", True)
    kind, text, has_traceback = strict.call(catch, "unmarked")
    assert kind is RemoteError
    assert "UnmarkedError: u" in text
    assert has_traceback


# ---------------------------------------------------------------- the rest of nbgrad in such a group

for layer in (nb.nn.Linear, optim.SGD):
    rpc.register(layer)


def train():
    module = RemoteModule("worker1", nb.nn.Linear, (3, 2))
    optimizer = optim.DistributedOptimizer(optim.SGD, module.remote_parameters(), lr=0.1)
    x = nb.ones(4, 3, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = module.forward(x).sum()
        first = loss.item()
        dist_autograd.backward(context_id, [loss])
        assert x in dist_autograd.get_gradients(context_id)
        optimizer.step(context_id)
        assert len({node.worker for node in dist_autograd.graph(context_id).nodes}) == 2
        assert len(dist_autograd.pass_statistics(context_id)) == 1
    return first > module.forward(x.detach()).sum().item()


def test_remote_modules_optimizers_and_passes_work(strict):
    assert strict.call(train)


class FailingFunction(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        raise KeyError("in backward")


@rpc.register
def through_failing(x):
    return FailingFunction.apply(x)


def backward_that_fails():
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        y = rpc.rpc_sync(1, through_failing, (x,))
        try:
            dist_autograd.backward(context_id, [y.sum()])
        except BackwardError as error:
            return str(error), type(error.__cause__)
    return None


def test_a_backward_pass_that_fails_there_is_told(strict):
    text, cause = strict.call(backward_that_fails)
    assert "Error on Node 1" in text
    assert cause is KeyError


def meet():
    gathered = rpc.rpc_async(1, gather_here)
    mine = rpc._all_gather({"rank": 0})
    gathered.wait()
    return mine, rpc.rpc_sync(1, rpc.statistics).name


@rpc.register
def gather_here():
    rpc._all_gather({"rank": 1})


def test_meetings_and_statistics_work(strict):
    mine, name = strict.call(meet)
    assert mine == {"worker0": {"rank": 0}, "worker1": {"rank": 1}}
    assert name == "worker1"


# ---------------------------------------------------------------- one end only


def mixed(rank, world):
    """Worker 0 trusts any, worker 1 registered ones only."""
    trust_here = "registered" if rank else "any"
    os.environ["MASTER_PORT"] = str(20_000 + os.getppid() % 40_000)  # names the group
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=world, trust=trust_here)
    found = None
    if rank == 0:
        x = nb.ones(2)
        found = (
            rpc.rpc_sync(1, nb_sum, (x,)),  # tensors only: no pickle
            refused(NotRegistered, rpc.rpc_sync, 1, nb_sum, (x,), {"dim": 0}),
            refused(NotRegistered, rpc.rpc_sync, 1, unmarked_function),
        )
    rpc.shutdown()
    return found


@rpc.register
def nb_sum(x, dim=None):
    return float(x.sum().item())


def test_a_strict_worker_stays_strict_in_a_group_that_is_not(on_workers):
    total, pickled, unmarked = on_workers(mixed)[0]
    assert total == 2
    assert "a pickled message is refused" in pickled
    assert "is not registered on this worker" in unmarked


# ---------------------------------------------------------------- options


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setattr(trust.Trust, "only_registered", False)
    monkeypatch.setattr(codec.Form, "pickler", codec.Pickler)
    return monkeypatch


def test_a_trust_that_is_none_is_refused(environment):
    with pytest.raises(
        ValueError, match=r"trust is 'none' \(option or NBGRAD_TRUST\): it can be any or"
    ):
        rpc.init_rpc("w", rank=0, world_size=1, trust="none")
    environment.setenv("NBGRAD_TRUST", "all")
    with pytest.raises(ValueError, match="trust is 'all'"):
        rpc.init_rpc("w", rank=0, world_size=1)


def test_registered_sends_no_code(environment):
    options = rpc.TensorPipeRpcBackendOptions(pickler="cloudpickle")
    with pytest.raises(ValueError, match="sends no code"):
        rpc.init_rpc("w", rank=0, world_size=1, rpc_backend_options=options, trust="registered")


@pytest.mark.parametrize("thing", [5, functools.partial(echo, 1), Store(1).add, "text"], ids=repr)
def test_only_what_has_a_name_can_be_registered(thing):
    with pytest.raises(TypeError, match="can't register"):
        rpc.register(thing)


def test_an_object_that_took_a_registered_ones_place_is_not_it(monkeypatch):
    monkeypatch.setattr(trust, "things", dict(trust.things))
    monkeypatch.setattr(trust, "names", dict(trust.names))

    def made():
        def function():
            return 1

        return rpc.register(function)

    first, second = made(), made()
    assert trust.name_of_registered(second) is not None
    assert trust.name_of_registered(first) is None
