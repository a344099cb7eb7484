"""Codec: values to bytes and arrays, and back; what can't travel is named."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import ProtocolError, RpcEncodeError
from nbgrad.rpc import codec

VALUES = [
    None,
    True,
    3,
    2.5,
    "text",
    b"bytes",
    [1, (2, {"a": 3})],
    {1, 2},
    range(3),
    np.float32(1.5),
]


def around(value):
    return codec.decode(*codec.encode(value, "a value"))


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back(value):
    came = around(value)
    assert came == value
    assert type(came) is type(value)


def test_tensors_and_arrays_travel_out_of_band_and_keep_identity():
    tensor, array = nb.ones(3), np.arange(5)
    data, tensors, arrays = codec.encode([tensor, {"x": tensor}, array, (array,)], "a value")
    assert tensors == [tensor]
    assert len(arrays) == 1
    assert arrays[0] is array
    assert len(data) < 200
    came = codec.decode(data, ["t"], ["a"])
    assert came == ["t", {"x": "t"}, "a", ("a",)]


@pytest.mark.parametrize("value", [lambda: 0, [lambda x: x]])
def test_lambdas_are_refused_with_the_reason(value):
    with pytest.raises(RpcEncodeError, match="Functions travel by name"):
        codec.encode(value, "the arguments of f")


def test_plain_arrays_are_taken_as_they_are_and_others_made_plain():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(codec.plain(x, "x"), x)
    fitted = codec.plain(x.T, "x")
    assert fitted.flags.c_contiguous
    np.testing.assert_array_equal(fitted, x.T)
    assert codec.plain(np.array(5.0), "x").shape == ()


BAD = [np.array([None]), np.zeros(2, ">f8"), np.zeros(2, "f4,i4"), np.array(["a"])]


@pytest.mark.parametrize("array", BAD, ids=lambda a: str(a.dtype))
def test_other_dtypes_are_refused_by_name(array):
    with pytest.raises(RpcEncodeError, match="does not travel between workers"):
        codec.plain(array, "an argument")


@pytest.mark.parametrize(
    "lengths", [[], [1], [2, 2], [1, 3], [-1, 4], [2.5], "no array"], ids=lambda x: str(x)
)
def test_parts_that_are_none_are_refused(lengths):
    flat = np.zeros(2), np.zeros(2), np.zeros(2)
    with pytest.raises(ProtocolError, match="a message of 4 arrays, some of them sparse, holds"):
        codec.joined((*flat, np.array(lengths)))
    with pytest.raises(ProtocolError, match="a message of 0 arrays"):
        codec.joined(())
