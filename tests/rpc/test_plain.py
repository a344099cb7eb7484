"""The codec without pickle, written: what travels comes back as it was, and what does not is named with its place."""

import dataclasses
import enum
import math
import threading
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbgrad as nb
from nbgrad.errors import RpcEncodeError
from nbgrad.rpc import codec, plain, plain_read, trust

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(), st.binary(),
    st.binary().map(bytearray),
)  # fmt: skip
KEYS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
    ),
    max_leaves=20,
)


def same(a, b):
    """Equal, and of equal types all the way down; NaN is itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b


@given(VALUES)
def test_plain_values_come_back_with_their_types(value):
    assert same(plain_read.loads(plain.dumps(value)), value)


@given(st.integers(-(2**200), 2**200))
def test_integers_of_any_size(n):
    assert plain_read.loads(plain.dumps(n)) == n


def around(value):
    """Through a message: tensors and arrays beside it."""
    data, tensors, arrays = plain.write(value, "it", codec.Tensors, codec.reducers)
    return plain_read.read(data, tensors, arrays, codec.Tensors, codec.reducers)


def test_tensors_and_arrays_keep_identity():
    t, a = nb.ones(3), np.arange(5)
    data, tensors, arrays = plain.write([t, {"x": t}, a, (a,)], "it", codec.Tensors, {})
    assert tensors == [t]
    assert len(arrays) == 1
    assert len(data) < 60
    found = plain_read.read(data, tensors, arrays, codec.Tensors, {})
    assert found[0] is found[1]["x"] is t
    assert found[2] is found[3][0] is a


def test_a_parameter_comes_back_as_one_and_once():
    p = nb.nn.Parameter(nb.ones(2))
    data, tensors, _ = plain.write([p, p], "it", codec.Tensors, {})
    found = plain_read.read(data, [nb.ones(2)], [], codec.Tensors, {})
    assert len(tensors) == 1
    assert type(found[0]) is nb.nn.Parameter
    assert found[0] is found[1]


NUMBERS = [
    np.float32(1.5),
    np.float64(0.1),
    np.int8(-3),
    np.uint64(2**63),
    np.bool_(True),
    np.complex64(1j),
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: n.dtype.name)
def test_numpy_numbers_and_dtypes(number):
    assert type(around(number)) is type(number)
    assert around(number) == number
    assert around(number.dtype) is number.dtype


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (4, 5)])
def test_arrays_inline(shape):
    a = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    found = plain_read.loads(plain.dumps([a, a.T]))
    np.testing.assert_array_equal(found[0], a)
    np.testing.assert_array_equal(found[1], a.T)
    assert found[0].dtype == a.dtype
    assert found[0].flags.writeable


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    rest: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        raise_if_armed()


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a",)
    a: int


class Color(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    a: int
    b: str


class Exotic:
    pass


def function():
    return 1


armed: list = []


def raise_if_armed():
    if armed:
        raise RuntimeError("a constructor ran")


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(trust, "things", dict(trust.things))
    monkeypatch.setattr(trust, "names", dict(trust.names))
    for thing in (Point, Slotted, Color, Level, Pair, Exotic, function):
        trust.register(thing)
    yield
    armed.clear()


def test_instances_of_registered_classes_come_back_and_no_constructor_runs(registered):
    value = [Point(1.0, [2]), Slotted(3), Color.RED, Level.LOW, Pair(1, "b"), function, Point]
    armed.append(True)
    found = around(value)
    assert found == value
    assert [type(one) for one in found] == [type(one) for one in value]
    assert found[5] is function
    assert found[6] is Point


def nested(n):
    value: list = []
    for _ in range(n):
        value = [value]
    return value


def cyclic():
    value: list = []
    value.append(value)
    return value


REFUSED = [
    ((1, {"x": [threading.Lock()]}), r"at \[1\]\['x'\]\[0\]\): lock is not registered"),
    ([lambda: 0], r"at \[0\]\): .*<lambda> is not registered: put @rpc.register above it"),
    (SimpleNamespace(), r"SimpleNamespace is not registered"),
    ({"a": Exotic()}, r"at \['a'\]\): instances of Exotic do not travel, though it is registered"),
    ({Pair(1, "a"): 1}, None),
    (np.datetime64("2020-01-01"), "NumPy number of dtype datetime64"),
    (nested(300), "nested more than 200 deep"),
    (cyclic(), "or contains itself"),
    (open, "open is not registered"),
    (np.add, "is not registered"),
    (Point(1.0, [range(3)]), r"Point rest|Point 1.*range is not registered"),
]


@pytest.mark.parametrize(("value", "text"), REFUSED, ids=[str(k) for k in range(len(REFUSED))])
def test_what_is_not_plain_is_refused_with_its_place(registered, value, text):
    if text is None:
        assert around(value) == value
        return
    with pytest.raises(RpcEncodeError, match=text) as caught:
        plain.write(value, "the arguments of f", codec.Tensors, codec.reducers)
    assert str(caught.value).startswith("can't send the arguments of f to another worker")


def test_what_was_counted_is_given_back_where_the_rest_is_refused():
    counts = [0]

    class Counted:
        pass

    def change(by):
        counts[0] += by

    rules = {Counted: (lambda value: (change(1), (None, ()))[1], lambda value: change(-1), Counted)}
    with pytest.raises(RpcEncodeError):
        plain.write([Counted(), Counted(), Exotic()], "it", codec.Tensors, rules)
    assert counts == [0]


def test_an_array_of_another_dtype_is_refused_inline():
    with pytest.raises(RpcEncodeError, match="dtype object does not travel"):
        plain.dumps([np.array([None])])
