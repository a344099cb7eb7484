"""RRefs: values that stay where they are, and go when nobody refers to them any more."""

import gc
import pickle
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.errors import RemoteError, RpcTimeout, RRefError
from nbgrad.futures import Future
from nbgrad.rpc import rref, state
from nbgrad.shm import words
from tests.events import PROMPT_S, finish, late, new
from tests.groups import eventually, on_all


class Thing:
    """A value with methods."""

    def __init__(self, n=0):
        self.n = n

    def add(self, n):
        self.n += n
        return self.n

    def fail(self):
        raise KeyError("method")

    def slow(self, seconds):
        time.sleep(seconds)
        return "late"

    def __len__(self):
        return 7

    def __getitem__(self, key):
        return ("item", key)

    def __call__(self, n):
        return self.n * n

    @rpc.functions.async_execution
    def later(self, n):
        return rpc.rpc_async(0, identity, (n,)).then(lambda done: done.value() + self.n)


def identity(x):
    return x


def fail():
    raise ValueError("no value")


def slow(seconds):
    time.sleep(seconds)
    return "slow"


def value_of(rref):
    return rref.to_here()


def local_value_of(rref):
    return rref.local_value()


# ---------------------------------------------------------------- values and owners


def make_and_look(to):
    rref = rpc.remote(to, Thing, (5,))
    info = rpc.get_worker_info(f"worker{to}")
    return {
        "owner": rref.owner() == info,
        "owner_name": rref.owner_name(),
        "is_owner": rref.is_owner(),
        "value": rref.to_here().n,
        "same object": rref.to_here() is rref.to_here(),
        "confirmed": eventually(rref.confirmed_by_owner),
        "repr": repr(rref).split("(")[0],
    }


@pytest.mark.parametrize("to", [0, 1])
def test_a_reference_knows_its_owner(group2, to):
    assert group2.call(make_and_look, to) == {
        "owner": True,
        "owner_name": f"worker{to}",
        "is_owner": to == 0,
        "value": 5,
        "same object": to == 0,
        "confirmed": True,
        "repr": "OwnerRRef" if to == 0 else "UserRRef",
    }


def own_value():
    thing = Thing(3)
    rref = rpc.RRef(thing)
    return (
        rref.local_value() is thing,
        rref.to_here() is thing,
        rpc.rpc_sync(1, value_of, (rref,)).n,
    )


def test_a_reference_to_an_own_value(group2):
    assert group2.call(own_value) == (True, True, 3)


def local_value_elsewhere():
    rref = rpc.remote(1, identity, (1,))
    try:
        rref.local_value()
    except RRefError as error:
        return str(error), rpc.rpc_sync(1, local_value_of, (rref,))
    return None


def test_local_value_is_for_the_owner(group2):
    text, value = group2.call(local_value_elsewhere)
    assert "can't call localValue() on user WorkerInfo(id=0, name=worker0)" in text
    assert "Call it on owner WorkerInfo(id=1, name=worker1)" in text
    assert value == 1


def pickle_plainly():
    rref = rpc.RRef(1)
    try:
        pickle.dumps(rref)
    except RRefError as error:
        return str(error)
    return None


def test_plain_pickle_is_refused(group2):
    assert "Can not pickle rref in python pickler" in group2.call(pickle_plainly)


def errors(to):
    rref = rpc.remote(to, fail)
    found = []
    for attempt in (
        rref.to_here,
        rref.to_here,
        lambda: rpc.rpc_sync(1, value_of, (rref,)),
        rref.confirm,
    ):
        try:
            attempt()
        except ValueError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("to", [0, 1])
def test_an_error_of_the_creation_comes_with_each_use(group2, to):
    assert group2.call(errors, to) == ["no value"] * 4


def where_errors_come_from(to):
    rref = rpc.remote(to, fail)
    found = []
    for use in (
        rref.to_here,
        lambda: rpc.rpc_sync(1, value_of, (rref,)),
        lambda: rref.rpc_sync().real(),
    ):
        try:
            use()
        except ValueError as error:
            found.append("in fail\n" in error.remote_traceback)
    return found


@pytest.mark.parametrize("to", [0, 1])
def test_an_error_of_the_creation_tells_where_it_was_raised(group2, to):
    assert group2.call(where_errors_come_from, to) == [True] * 3


def exit_there():
    rref = rpc.remote(1, sys.exit, (3,))
    try:
        rref.to_here()
    except RemoteError as error:
        return error.type_name
    return None


def test_a_creation_that_exits_is_an_error(group2):
    assert group2.call(exit_there) == "SystemExit"


def times_out(to):
    rref = rpc.remote(to, late, (name := new(),))
    start = time.monotonic()
    try:
        rref.to_here(timeout=0.05)
    except RpcTimeout:
        seconds = time.monotonic() - start
        rpc.rpc_sync(to, finish, (name,))
        return seconds, rref.to_here()
    return None


@pytest.mark.parametrize("to", [0, 1])
def test_to_here_times_out_and_may_be_tried_again(group2, to):
    seconds, value = group2.call(times_out, to)
    assert seconds < PROMPT_S
    assert value is True


def creation_times_out():
    rref = rpc.remote(1, slow, (0.2,), timeout=0.05)
    time.sleep(0.1)
    try:
        rref.to_here()
    except RpcTimeout as error:
        return str(error)
    return None


def test_a_creation_that_times_out_is_told_at_the_use(group2):
    text = group2.call(creation_times_out)
    assert text.startswith("RRef creation via rpc.remote() timed out")
    assert "RPC ran for more than set timeout" in text


# ---------------------------------------------------------------- proxies


def proxies(to):
    rref = rpc.remote(to, Thing, (1,))
    found = [
        rref.rpc_sync().add(1),
        rref.rpc_async().add(n=1).wait(),
        rref.remote().add(1).to_here(),
        rref.rpc_sync().__len__(),
        rref.rpc_sync().__getitem__("k"),
        rref.rpc_sync()(10),
        rref.rpc_sync().later(100),
    ]
    try:
        rref.rpc_sync().fail()
    except KeyError as error:
        found.append(error.args[0])
    try:
        rref.rpc_sync().missing()
    except AttributeError as error:
        found.append("missing" in str(error))
    try:
        rref.rpc_sync(timeout=0.05).slow(0.2)
    except RpcTimeout:
        found.append("timed out")
    return found


@pytest.mark.parametrize("to", [0, 1])
def test_methods_are_called_where_the_value_is(group2, to):
    assert group2.call(proxies, to) == [
        2,
        3,
        4,
        7,
        ("item", "k"),
        40,
        104,
        "method",
        True,
        "timed out",
    ]


def proxy_of_what_is_not_there_yet():
    rref = rpc.remote(1, slow_thing, (0.05,))
    return rref.rpc_sync().add(1)


def slow_thing(seconds):
    time.sleep(seconds)
    return Thing(9)


def test_a_method_waits_for_the_value(group2):
    assert group2.call(proxy_of_what_is_not_there_yet) == 10


# ---------------------------------------------------------------- many users


def pass_around(rref, path):
    """The value, at the end of a path of workers."""
    if not path:
        return rref.to_here()
    return rpc.rpc_sync(path[0], pass_around, (rref, path[1:]))


def pass_in_all_orders():
    rref = rpc.remote(1, identity, ("value",))
    paths = [(), (1,), (2,), (1, 2), (2, 1, 0), (0, 0), (2, 2, 1)]
    return {pass_around(rref, path) for path in paths}


def test_forks_in_any_order(group3):
    assert group3.call(pass_in_all_orders) == {"value"}


def fork_and_forget():
    """The only reference is in the message: it must keep the value."""
    return {rpc.rpc_sync(2, value_of, (rpc.remote(1, identity, (n,)),)) == n for n in range(50)}


def test_a_message_keeps_the_value(group3):
    assert group3.call(fork_and_forget) == {True}


class Kept:
    rrefs: list = []


def keep(rref):
    Kept.rrefs.append(rref)


def use_kept():
    found = [rref.to_here() for rref in Kept.rrefs]
    Kept.rrefs.clear()
    return found


def outlive_the_creator():
    """Another worker still holds a reference when the creator has none."""
    for n in range(20):
        rpc.rpc_sync(2, keep, (rpc.remote(1, identity, (n,)),))
    gc.collect()
    return rpc.rpc_sync(2, use_kept)


def test_users_may_outlive_the_creator(group3):
    assert group3.call(outlive_the_creator) == list(range(20))


def hammer_forks(n_threads, n):
    wrong = []

    def work():
        for k in range(n):
            rref = rpc.remote(1, identity, (k,))
            futures = [rpc.rpc_async(1 + j % 2, value_of, (rref,)) for j in range(3)]
            del rref
            wrong.extend(future.wait() for future in futures if future.wait() != k)

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_threads_fork_and_drop_at_once(group3):
    assert group3.call(hammer_forks, 6, 30, deadline=60.0) == []


def return_rref():
    return rpc.RRef("mine")


def rrefs_in_results():
    rref = rpc.rpc_sync(1, return_rref)
    both = rpc.rpc_sync(2, identity, ({"a": [rref, rref]},))
    return rref.owner_name(), rref.to_here(), both["a"][0].to_here(), both["a"][0] is both["a"][1]


def test_references_travel_in_results_and_containers(group3):
    assert group3.call(rrefs_in_results) == ("worker1", "mine", "mine", True)


def tensor_value():
    rref = rpc.remote(1, nb.ones, (40_000,))
    return float(rref.to_here().sum().item()), rref.rpc_sync().sum().item()


def test_a_tensor_as_value(group2):
    assert group2.call(tensor_value) == (40_000.0, 40_000.0)


# ---------------------------------------------------------------- lifetime: Note [RRef lifetime]


def table():
    """Of this worker: values that it owns, and rows in use among those that it created."""
    gc.collect()
    rrefs = state.agent().rrefs
    return len(rrefs.values), rrefs.n_rows - len(rrefs.free)


def is_clean():
    return all(found == (0, 0) for found in on_all(table))


def unfetched(to):
    rpc.remote(to, identity, (1,))


def fetched(to):
    rpc.remote(to, identity, (1,)).to_here()


def failed(to):
    rref = rpc.remote(to, fail)
    with pytest.raises(ValueError, match="no value"):
        rref.to_here()


def failed_unfetched(to):
    rpc.remote(to, fail)


def passed(to):
    rref = rpc.remote(to, identity, (1,))
    rpc.rpc_sync(1, identity, (rref,))
    rpc.rpc_sync(2, value_of, (rref,))


def own_passed(to):
    rpc.rpc_sync(to, value_of, (rpc.RRef(1),))


def deleted_before_creation(to):
    rref = rpc.remote(to, slow, (0.05,))
    del rref


def not_encoded(to):
    rref = rpc.RRef(1)
    with pytest.raises(TypeError):
        rpc.rpc_sync(to, identity, (rref, threading.Lock()))


def array_not_encoded(to):
    rref = rpc.RRef(1)
    with pytest.raises(TypeError):
        rpc.rpc_sync(to, identity, ([rref, pytest],), {"a": memoryview(b"")})


def creation_not_encoded(to):
    with pytest.raises(TypeError):
        rpc.remote(to, identity, (rpc.RRef(1), threading.Lock()))


def creation_not_found(to):
    with pytest.raises(TypeError):
        rpc.remote(to, lambda: 1)


def unencodable_result(to):
    with pytest.raises(TypeError):
        rpc.rpc_sync(to, rref_and_lock)


def rref_and_lock():
    return rpc.RRef(1), threading.Lock()


def late_reply(to):
    with pytest.raises(RpcTimeout):
        rpc.rpc_sync(to, rref_after, (0.1,), timeout=0.02)


def rref_after(seconds):
    time.sleep(seconds)
    return rpc.RRef(1)


def refused_argument(to):
    rref = rpc.RRef(1)
    with pytest.raises(ZeroDivisionError):
        rpc.rpc_sync(to, identity, (rref, Refusing()))


class Refusing:
    def __reduce__(self):
        return refuse, ()


def refuse():
    raise ZeroDivisionError


def context_released_before_it_starts(to):
    for _ in range(20):
        with dist_autograd.context():
            rpc.remote(to, identity, (1,))


def errors_that_hold_each_other(to):
    """Frames of the error of one value hold a reference to the other."""
    mine, theirs = rpc.remote(0, fail_with), rpc.remote(to, identity, (1,))
    for first, second in ((mine, theirs), (theirs, mine)):
        with pytest.raises(ValueError, match="no value"):
            rpc.remote(to, fail_with, (first, second)).to_here()


def fail_with(*rrefs):
    fail()


def proxied(to):
    rref = rpc.remote(to, Thing)
    rref.rpc_sync().add(1)
    rref.remote().add(1).to_here()


CASES = [
    unfetched,
    fetched,
    failed,
    failed_unfetched,
    passed,
    own_passed,
    deleted_before_creation,
    not_encoded,
    array_not_encoded,
    creation_not_encoded,
    creation_not_found,
    unencodable_result,
    late_reply,
    refused_argument,
    context_released_before_it_starts,
    errors_that_hold_each_other,
    proxied,
]


def run_and_look(case, to):
    case(to)
    return eventually(is_clean, 3.0) or on_all(table)


@pytest.mark.parametrize("to", [0, 1, 2])
@pytest.mark.parametrize("case", CASES)
def test_counts_come_back_to_zero(group3, case, to):
    assert group3.call(run_and_look, case, to) is True


def reuse_rows(n):
    for _ in range(n):
        rpc.remote(1, identity, (1,)).to_here()
    eventually(is_clean)
    return state.agent().rrefs.n_rows


def test_rows_are_used_again(group2):
    before = group2.call(reuse_rows, 1)
    assert group2.call(reuse_rows, 300) <= before + 50


def count_of_own():
    """F1: one count per object and per message that carries one."""
    rref = rpc.RRef(1)
    address = rref.table.count(rref.rref_id)
    found = [words.load(address)]
    future = rpc.rpc_async(1, keep_until_told, (rref,))
    found.append(eventually(lambda: words.load(address) == 2))
    rpc.rpc_sync(1, tell)
    future.wait()
    found.append(eventually(lambda: words.load(address) == 1))
    return found


class Told:
    future = None


def keep_until_told(rref):
    Told.future = Future()
    Told.future.wait()


def tell():
    eventually(lambda: Told.future is not None)
    Told.future.set_result(None)
    Told.future = None


def test_counts_are_objects_and_messages(group2):
    assert group2.call(count_of_own) == [1, True, True]


class SlowSegment:
    """Memory whose first commit lets another thread make a reference, if it can."""

    def __init__(self):
        self.memory = np.zeros(16, np.int64)
        self.address = self.memory.ctypes.data
        self.other = None

    def commit(self, first, size_bytes):
        if self.other is not None:
            other, self.other = self.other, None
            other.start()
            other.join(0.2)  # it ends here only where nothing keeps the two apart


def test_two_threads_that_make_references_at_once_get_two_rows():
    segment = SlowSegment()
    layout = SimpleNamespace(rref_row=lambda rank, row: 8 * row)
    agent = SimpleNamespace(
        rank=0,
        session=SimpleNamespace(rank=0, layout=layout, segment=segment),
        serving=SimpleNamespace(at_slice_end=[]),
        on=lambda kind, handler: None,
    )
    table, found = rref.RRefs(agent), []
    other = segment.other = threading.Thread(target=lambda: found.append(table.new_id()))
    found.append(table.new_id())
    other.join()
    assert sorted(found) == [0, 1]
    assert segment.memory[:3].tolist() == [1, 1, 0]


def outlives_its_group(rank):
    """A reference of the first group is of no use in the second, whatever has its id there."""
    made: list = []
    for k in range(2):
        options = rpc.TensorPipeRpcBackendOptions(init_method=f"tcp://localhost:{k + 1}")
        rpc.init_rpc(f"worker{rank}", rank=rank, world_size=2, rpc_backend_options=options)
        if rank == 0:
            made.append(rpc.remote(1, identity, (k,)))
            assert made[k].to_here() == k
        if len(made) == 2:
            first, second = made
            assert first.rref_id == second.rref_id
            with pytest.raises(RuntimeError, match="after deletion"):
                first.to_here()
            with pytest.raises(RuntimeError, match="after deletion"):
                rpc.rpc_sync(1, identity, (first,))
            with pytest.raises(RuntimeError, match="after deletion"):
                first.rpc_sync().bit_length()
        rpc.shutdown()


def test_a_reference_ends_with_its_group(nothing_left):
    nb.multiprocessing.spawn(outlives_its_group, nprocs=2)


def test_a_reference_has_a_type_in_annotations():
    assert rpc.RRef[nb.Tensor].__origin__ is rpc.RRef
