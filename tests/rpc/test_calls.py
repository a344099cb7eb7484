"""Calls: what can be called, by whom it is addressed, what travels, and how errors come back."""

import dataclasses
import enum
import functools
import re
import sys
import threading
import time

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import rpc
from nbgrad.errors import RemoteError, RpcEncodeError, RpcError
from nbgrad.rpc.twofold import original

here = sys.modules[__name__]


def echo(*args, **kwargs):
    return args, kwargs


def whoami():
    return rpc.get_worker_info()


# ---------------------------------------------------------------- addressing


def call_in_all_ways():
    info = rpc.get_worker_info("worker1")
    return [rpc.rpc_sync(to, whoami) for to in ("worker1", 1, info, np.int64(1))], info


def call_nobody(to):
    try:
        rpc.rpc_sync(to, whoami)
    except Exception as error:
        return type(error), str(error)
    return None


def test_a_worker_is_addressed_by_name_rank_or_info(group2):
    found, info = group2.call(call_in_all_ways)
    assert found == [info] * 4


@pytest.mark.parametrize(
    ("to", "kind", "text"),
    [
        ("worker9", RpcError, "could not find destination name 'worker9'.*'worker0', 'worker1'"),
        (7, RpcError, "could not find destination name 7"),
        (None, ValueError, "Cannot get WorkerInfo from name None"),
        (1.5, ValueError, "Cannot get WorkerInfo from name"),
        ([1], ValueError, "Cannot get WorkerInfo from name"),
    ],
)
def test_unknown_workers_are_named(group2, to, kind, text):
    found, message = group2.call(call_nobody, to)
    assert issubclass(found, kind)
    assert re.search(text, message)


def call_what_is_no_function():
    try:
        rpc.rpc_sync(1, 5)
    except TypeError as error:
        return str(error)
    return None


def test_what_is_not_callable_is_refused(group2):
    assert "function should be callable" in group2.call(call_what_is_no_function)


def call_with_one_value(value):
    errors = []
    for send in (rpc.rpc_sync, rpc.rpc_async, rpc.remote):
        try:
            send(1, echo, value)
        except TypeError as error:
            errors.append(str(error))
    return errors


@pytest.mark.parametrize("value", [nb.ones(1), nb.ones(3), np.ones(2), "ab", 5])
def test_arguments_that_are_no_tuple_are_refused(group2, value):
    errors = group2.call(call_with_one_value, value)
    wanted = rf"args must be a tuple.*is one {type(value).__name__}; write args=\(x,\)"
    assert len(errors) == 3
    assert all(re.match(wanted, text) for text in errors)


def call_with_other_containers():
    return [rpc.rpc_sync(1, echo, args) for args in ([1, 2], range(1, 3), None, ())]


def test_arguments_may_stand_in_other_containers(group2):
    found = group2.call(call_with_other_containers)
    assert [args for args, _ in found] == [(1, 2), (1, 2), (), ()]


# ---------------------------------------------------------------- what can be called


class Counter:
    """Methods of all kinds."""

    start = 10

    def __init__(self, value=0):
        self.value = value

    def plus(self, n):
        return self.value + n

    @classmethod
    def from_start(cls, n):
        return cls.start + n

    @staticmethod
    def double(n):
        return 2 * n

    def __call__(self, n):
        return self.value * n

    class Inner:
        @staticmethod
        def triple(n):
            return 3 * n


@dataclasses.dataclass(eq=True)  # instances have no hash
class Adder:
    n: int

    def __call__(self, m):
        return self.n + m


class Equal:
    """A class whose instances have no hash; the class itself has one."""

    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n


def call_all_kinds():
    call = functools.partial(rpc.rpc_sync, 1)
    return {
        "class": call(Counter, (5,)).value,
        "bound": call(Counter(5).plus, (2,)),
        "class method": call(Counter.from_start, (1,)),
        "static": call(Counter.double, (4,)),
        "inner": call(Counter.Inner.triple, (4,)),
        "unbound": call(Counter.plus, (Counter(1), 1)),
        "object": call(Counter(3), (3,)),
        "unhashable object": call(Adder(3), (3,)),
        "class without hash of instances": [call(Equal, (n,)).n for n in range(3)],
        "partial": call(functools.partial(echo, 1, a=2), (3,)),
        "builtin": call(divmod, (7, 2)),
        "builtin method": call([3, 1, 2].index, (1,)),
        "ufunc": float(call(np.add, (1.0, 2.0))),
        "numpy function": call(np.zeros, (3,)).tolist(),
        "type": call(int, ("12",)),
        "operation": call(nb.relu, (nb.tensor([-1.0, 2.0]),)).array.tolist(),
        "tensor method": call(nb.Tensor.sum, (nb.ones(3),)).item(),
    }


def test_everything_that_has_a_name_can_be_called(group2):
    assert group2.call(call_all_kinds) == {
        "class": 5,
        "bound": 7,
        "class method": 11,
        "static": 8,
        "inner": 12,
        "unbound": 2,
        "object": 9,
        "unhashable object": 6,
        "class without hash of instances": [0, 1, 2],
        "partial": ((1, 3), {"a": 2}),
        "builtin": (3, 1),
        "builtin method": 1,
        "ufunc": 3.0,
        "numpy function": [0.0, 0.0, 0.0],
        "type": 12,
        "operation": [0.0, 2.0],
        "tensor method": 3.0,
    }


def refused(function, *args):
    """The error of a call, and whether it came at once, from this side."""
    try:
        future = rpc.rpc_async(1, function, args)
    except Exception as error:
        return type(error), str(error), "at the call"
    try:
        future.wait()
    except Exception as error:
        return type(error), str(error), "later"
    return None


def refuse_lambda():
    return refused(lambda: 1)


def refuse_local():
    def local():
        pass

    return refused(local)


def refuse_shadowed():
    original = here.shadowed
    here.shadowed = lambda: 2
    try:
        return refused(original)
    finally:
        here.shadowed = original


def shadowed():
    return 1


def refuse_argument():
    return refused(echo, lambda: 1)


def refuse_generator():
    return refused(echo, (n for n in range(3)))


def refuse_lock():
    return refused(echo, {"deep": [threading.Lock()]})


def refuse_result():
    return refused(threading.Lock)


@pytest.mark.parametrize(
    ("attempt", "text", "when"),
    [
        (refuse_lambda, "lambda", "at the call"),
        (refuse_local, "local", "at the call"),
        (refuse_shadowed, "another object", "at the call"),
        (refuse_argument, "lambda", "at the call"),
        (refuse_generator, "generator", "at the call"),
        (refuse_lock, "lock", "at the call"),
        (refuse_result, "the result of a remote call", "later"),
    ],
)
def test_what_can_not_travel_is_refused_with_its_name(group2, attempt, text, when):
    kind, message, found = group2.call(attempt)
    assert issubclass(kind, RpcEncodeError)
    assert issubclass(kind, TypeError)
    assert text in message
    assert found == when


def call_function_that_only_this_worker_has():
    def made(n):
        return n

    made.__qualname__ = "made_here"
    here.made_here = made
    try:
        rpc.rpc_sync(1, made, (1,))
    except AttributeError as error:
        return str(error)
    finally:
        del here.made_here
    return None


def test_a_function_that_the_callee_lacks_is_named(group2):
    text = group2.call(call_function_that_only_this_worker_has)
    assert "made_here does not exist on worker 'worker1'" in text
    assert "Default RPC pickler does not serialize function code" in text


# ---------------------------------------------------------------- many first calls at once


def number_of(n):
    def function():
        return n

    function.__qualname__ = function.__name__ = f"first_{n}"
    setattr(here, function.__name__, function)


N_FIRST = 200
for n_first in range(N_FIRST):
    number_of(n_first)


def call_first_from_threads(n_threads):
    """Functions that were never called before, from many threads at once: each call reaches its own."""
    wrong = []

    def work(first):
        for n in range(first, N_FIRST):
            try:
                found = rpc.rpc_sync(1, getattr(here, f"first_{n}"))
            except Exception as error:
                found = error
            if found != n:
                wrong.append((n, found))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(k % 3,)) for k in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    return [(n, repr(found)) for n, found in wrong]


def test_first_calls_from_many_threads_reach_their_functions(group2):
    assert group2.call(call_first_from_threads, 8) == []


# ---------------------------------------------------------------- what travels


@dataclasses.dataclass
class Sample:
    name: str
    values: np.ndarray
    tensor: object = None
    children: list = dataclasses.field(default_factory=list)


class Color(enum.Enum):
    RED = 1


def send_containers():
    tensor, array = nb.tensor([1.0, 2.0]), np.arange(3)
    sample = Sample("s", array, tensor, [Sample("child", array)])
    value = {
        "list": [1, "two", 3.0, None, True, b"bytes", 1 << 100],
        ("tuple", 1): {"set"},
        "sample": sample,
        "tensors": (tensor, [tensor]),
        "enum": Color.RED,
        "slice": slice(1, 2),
        "dtype": np.dtype("float32"),
        "scalar": np.float32(1.5),
        "complex": 1 + 2j,
    }
    (back,), kwargs = rpc.rpc_sync(1, echo, (value,), {"named": tensor, "plain": 1})
    assert back["list"] == value["list"]
    assert back["tuple", 1] == {"set"}
    assert back["enum"] is Color.RED
    assert back["slice"] == slice(1, 2)
    assert back["dtype"] == np.dtype("float32")
    assert back["complex"] == 1 + 2j
    assert type(back["scalar"]) is np.float32
    assert back["scalar"] == 1.5
    assert back["sample"].name == "s"
    assert back["sample"].values is back["sample"].children[0].values, "identity of arrays"
    assert back["sample"].tensor is back["tensors"][0], "identity of tensors"
    assert back["tensors"][0] is back["tensors"][1][0]
    assert kwargs["named"] is back["tensors"][0], "identity across args and kwargs"
    assert kwargs["plain"] == 1
    np.testing.assert_array_equal(back["sample"].values, array)
    np.testing.assert_array_equal(back["tensors"][0].array, tensor.array)
    return "equal"


def test_containers_dataclasses_and_kwargs_arrive_with_identity(group2):
    assert group2.call(send_containers) == "equal"


def send_same_twice():
    x, y = nb.ones(2), nb.ones(2)
    same, other = rpc.rpc_sync(1, are_same, (x, x)), rpc.rpc_sync(1, are_same, (x, y))
    first, second = rpc.rpc_sync(1, twice, (x,))
    return same, other, first is second


def are_same(x, y):
    return x is y


def twice(x):
    return x, x


def test_identity_within_a_message(group2):
    assert group2.call(send_same_twice) == (True, False, True)


ARRAYS = {
    "0-d": lambda: np.array(2.5),
    "empty": lambda: np.zeros((0, 3), np.float32),
    "scalar tensor shape": lambda: np.ones((1, 1, 1)),
    "bool": lambda: np.array([True, False]),
    "int8": lambda: np.arange(-3, 3, dtype=np.int8),
    "float16": lambda: np.ones(3, np.float16),
    "complex": lambda: np.array([1 + 2j]),
    "transposed": lambda: np.arange(6.0).reshape(2, 3).T,
    "strided": lambda: np.arange(20.0)[::3],
    "reversed": lambda: np.arange(20.0)[::-1],
    "broadcast": lambda: np.broadcast_to(np.arange(3.0), (2, 3)),
    "fortran": lambda: np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "read-only": lambda: read_only(np.arange(3.0)),
    "1 KiB": lambda: np.arange(128.0),
    "strided 1 MiB": lambda: np.arange(1 << 18, dtype=np.float64)[::2],
    "64 KiB": lambda: np.arange(1 << 13, dtype=np.float64),
    "1 MiB": lambda: np.arange(1 << 17, dtype=np.float64),
    "64 MiB": lambda: np.arange(1 << 23, dtype=np.float64),
    "16 dimensions": lambda: np.ones((1,) * 16),
}


def read_only(array):
    array.flags.writeable = False
    return array


def send_array(name):
    """The array back from worker 1: alone, in a tensor, in a list, as a slice of a tensor born in the arena."""
    array = ARRAYS[name]()
    tensor = nb.as_tensor(array) if name != "read-only" else nb.Tensor(array)
    born = tensor + 0 if array.dtype != bool else tensor  # a result, so in the arena if large
    for sent in (array, tensor, [array, array], born):
        ((back,), _) = rpc.rpc_sync(1, echo, (sent,))
        for found in back if isinstance(back, list) else [back]:
            data = found if isinstance(found, np.ndarray) else found.array
            assert data.dtype == array.dtype, (type(sent), data.dtype)
            assert data.shape == array.shape, (type(sent), data.shape)
            np.testing.assert_array_equal(data, array)
    return "equal"


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_arrive_equal(group2, name):
    assert group2.call(send_array, name) == "equal"


def send_slices():
    big = nb.rand(300, 300) + 0
    for part in (big[10:20], big[:, 5], big[7], big.t(), big[3, 4]):
        ((back,), _) = rpc.rpc_sync(1, echo, (part,))
        np.testing.assert_array_equal(back.array, part.array)
    return "equal"


def test_slices_of_arena_blocks_arrive_equal(group2):
    assert group2.call(send_slices) == "equal"


REFUSED = {
    "big-endian": lambda: np.arange(3, dtype=">f4"),
    "object": lambda: np.array([1, "a"], dtype=object),
    "structured": lambda: np.zeros(2, dtype=[("a", "f4")]),
    "text": lambda: np.array(["a"]),
    "date": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
}
MANY_DIMENSIONS = np.ones((1,) * 17)


def send_refused(name):
    return refused(echo, REFUSED[name]())


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_of_other_dtypes_are_refused_with_theirs(group2, name):
    kind, message, when = group2.call(send_refused, name)
    assert issubclass(kind, RpcEncodeError)
    assert f"dtype {REFUSED[name]().dtype}" in message
    assert when == "at the call"


def send_many_dimensions():
    return refused(echo, MANY_DIMENSIONS), refused(make_many_dimensions)


def make_many_dimensions():
    return MANY_DIMENSIONS


def test_arrays_of_too_many_dimensions_are_refused(group2):
    sent, received = group2.call(send_many_dimensions)
    assert issubclass(sent[0], RpcEncodeError)
    assert "17 dimensions" in sent[1]
    assert "17 dimensions" in received[1]


def changes_after_the_call():
    """What the sender writes after the call, the receiver does not see."""
    x = nb.zeros(1 << 16) + 0
    future = rpc.rpc_async(1, look_later, (x,))
    x.add_(1)
    before = future.wait()
    array = np.zeros(1 << 16)
    future = rpc.rpc_async(1, look_later, (array,))
    array += 1
    return before, future.wait(), float(x.sum().item())


def look_later(x):
    time.sleep(0.05)
    return float(x.sum())


def test_a_sent_value_is_a_value(group2):
    assert group2.call(changes_after_the_call) == (0.0, 0.0, float(1 << 16))


def write_into_what_came():
    """The callee writes into its argument, the caller's stays; the caller writes into what came back."""
    x = nb.zeros(1 << 16) + 0
    y = rpc.rpc_sync(1, add_in_place, (x,))
    y.add_(1)
    small = rpc.rpc_sync(1, add_in_place, (nb.zeros(2),))
    small.add_(1)
    return float(x.sum().item()), float(y.array[0]), small.array.tolist()


def add_in_place(x):
    x.add_(5)
    return x


def test_what_came_can_be_written_in_place(group2):
    assert group2.call(write_into_what_came) == (0.0, 6.0, [6.0, 6.0])


def write_what_was_sent_on(make):
    """Worker 1 sends on what came to it, and both it and worker 2 write theirs in place."""
    x = make()
    return *rpc.rpc_sync(1, send_on, (x,)), float(x.sum())


def send_on(x):
    future = rpc.rpc_async(2, add_in_place_and_stay, (x,))
    x += 1
    there = float(future.wait().sum())
    here = float(x.sum())
    return here, there, rpc.rpc_sync(2, what_stayed)


def add_in_place_and_stay(x):
    x += 5
    Stays.value = x
    return x


class Stays:
    value = None


def what_stayed():
    return float(Stays.value.sum())


def of_ones():
    return np.ones(1 << 14)


def tensor_of_numpy():
    return nb.from_numpy(np.ones(1 << 14))


def tensor_in_arena():
    return nb.ones(1 << 14) + 0


@pytest.mark.parametrize("make", [of_ones, tensor_of_numpy, tensor_in_arena])
def test_what_is_sent_on_is_a_value_again(group3, make):
    n = 1 << 14
    assert group3.call(write_what_was_sent_on, make) == (2.0 * n, 6.0 * n, 6.0 * n, 1.0 * n)


def many_tensors(n):
    tensors = [nb.full((2,), float(k)) for k in range(n)]
    (back, _) = rpc.rpc_sync(1, echo, tuple(tensors))
    ((in_list,), _) = rpc.rpc_sync(1, echo, (tensors,))
    return [t.array[0] for t in back] == [t.array[1] for t in in_list] == list(range(n))


@pytest.mark.parametrize("n", [0, 1, 62, 63, 64, 65, 1000])
def test_many_tensors_in_one_message(group2, n):
    assert group2.call(many_tensors, n)


def recursive():
    value: list = [1]
    value.append(value)
    ((back,), _) = rpc.rpc_sync(1, echo, (value,))
    return back[1] is back


def test_recursive_values_arrive(group2):
    assert group2.call(recursive)


# ---------------------------------------------------------------- errors


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a, self.b = a, b


class Unpicklable(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class Quiet(BaseException):
    pass


def fail(kind, *args):
    raise kind(*args)


def fail_below():
    try:
        {}["inner"]
    except KeyError as error:
        raise ValueError("outer") from error


def fail_with_type_that_only_exists_there():
    raise type("Ephemeral", (Exception,), {})("gone")


def fails(function, *args):
    """How the caller sees an error: (type, args, type and text of its cause, remote traceback)."""
    try:
        rpc.rpc_sync(1, function, args)
    except BaseException as error:
        cause = error if isinstance(error, RemoteError) else error.__cause__
        return (
            original(type(error)),
            error.args,
            type(cause),
            str(cause),
            cause.remote_traceback,
            cause.type_name,
        )
    return None


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (ValueError, ("bad", 1)),
        (KeyError, ("k",)),
        (ZeroDivisionError, ()),
        (OSError, (2, "no file")),
    ],
)
def test_an_error_keeps_its_type_and_arguments(group2, kind, args):
    found, found_args, cause, text, remote, name = group2.call(fails, fail, kind, *args)
    assert (found, found_args) == (kind if kind is not OSError else FileNotFoundError, args)
    assert cause is RemoteError
    assert "On WorkerInfo(id=1, name=worker1)" in text
    assert "in fail" in remote
    assert name == found.__name__


def test_an_error_with_two_arguments_keeps_its_type(group2):
    kind, args, _, text, remote, name = group2.call(fails, fail, TwoArguments, 1, 2)
    assert (kind, args) == (TwoArguments, ("1 and 2",))
    assert "1 and 2" in text
    assert name == "TwoArguments"
    assert "raise kind(*args)" in remote


def test_an_error_that_can_not_be_pickled_is_rebuilt_from_its_text(group2):
    kind, args, cause, _, _, _ = group2.call(fails_locally, fail, Unpicklable, "held")
    assert (kind, args, cause) == ("Unpicklable", ("held",), RemoteError)


def fails_locally(function, *args):
    kind, *rest = fails(function, *args)
    return kind.__name__, *rest


def test_an_error_of_an_unknown_type_becomes_a_remote_error(group2):
    kind, _, _, text, _, name = group2.call(fails, fail_with_type_that_only_exists_there)
    assert kind is RemoteError
    assert "Ephemeral: gone" in text
    assert name.endswith("Ephemeral")


def test_the_remote_traceback_shows_the_whole_chain(group2):
    _, _, _, text, remote, _ = group2.call(fails, fail_below)
    assert "KeyError: 'inner'" in remote
    assert "The above exception was the direct cause" in remote
    assert remote in text


def fail_through():
    return rpc.rpc_sync(0, fail, (KeyError, "deep"))


def test_an_error_passes_through_nested_calls(group2):
    kind, args, _, _, remote, _ = group2.call(fails, fail_through)
    assert (kind, args) == (KeyError, ("deep",))
    assert "in fail_through" in remote
    assert "name=worker0" in remote


@pytest.mark.parametrize("kind", [SystemExit, Quiet])
def test_what_would_end_a_process_ends_neither_side(group2, kind):
    found, _, _, text, _, name = group2.call(fails, fail, kind, "stop")
    assert (found, name) == (RemoteError, kind.__name__)
    assert "stop" in text
    assert group2.call(fails, fail, ValueError, "x")[0] is ValueError


def fail_to_unpickle():
    return refused(echo, Bomb())


class Bomb:
    def __reduce__(self):
        return explode, ()


def explode():
    raise ArithmeticError("boom")


def bomb():
    return Bomb()


def test_an_argument_that_can_not_be_rebuilt_is_the_calls_error(group2):
    kind, text, _ = group2.call(fail_to_unpickle)
    assert (kind, text) == (ArithmeticError, "boom")


def test_a_result_that_can_not_be_rebuilt_is_the_calls_error(group2):
    kind, text, _ = group2.call(refused, bomb)
    assert (kind, text) == (ArithmeticError, "boom")


def fail_at_length():
    raise ValueError("x" * 1_000_000)


def test_a_very_long_error_arrives(group2):
    assert len(group2.call(fails, fail_at_length)[1][0]) == 1_000_000


# ---------------------------------------------------------------- without a group


def test_api_needs_a_group():
    with pytest.raises(RpcError, match="RPC has not been initialized"):
        rpc.rpc_sync(1, whoami)
