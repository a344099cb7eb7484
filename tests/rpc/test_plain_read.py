"""The codec without pickle, read: damaged bytes are an error, and nothing is run or made that is not registered."""

import builtins
import importlib
import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbgrad.errors import NotRegistered, RpcError
from nbgrad.rpc import codec, plain, plain_read

SAMPLE = plain.dumps(
    [
        1,
        -(2**70),
        2.5,
        1j,
        "text",
        b"bytes",
        (None, True),
        {"k": [np.arange(6.0).reshape(2, 3)]},
        {1, 2},
        np.float32(3),
    ]
)


@pytest.fixture
def nothing_runs(monkeypatch):
    """Importing and evaluating fail the test."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"called with {args}")

    monkeypatch.setattr(importlib, "import_module", refuse)
    for name in ("eval", "exec", "compile"):
        monkeypatch.setattr(builtins, name, refuse)


def read(data):
    """The value, or None where it is refused as it should be."""
    try:
        return plain_read.read(data, [np.ones(1)], [np.ones(2)], codec.Tensors, codec.reducers)
    except (RpcError, NotRegistered):
        return None


def test_every_flipped_bit_is_a_value_or_an_error(nothing_runs):
    for k in range(8 * len(SAMPLE)):
        damaged = bytearray(SAMPLE)
        damaged[k // 8] ^= 1 << k % 8
        read(bytes(damaged))


def test_every_shortened_or_lengthened_message_is_an_error():
    for n in range(1, len(SAMPLE)):
        with pytest.raises(RpcError):
            plain_read.loads(SAMPLE[:n])
    with pytest.raises(RpcError, match="more in it than a value"):
        plain_read.loads(SAMPLE + b"n")


@given(st.binary(max_size=60))
def test_random_bytes(data):
    read(plain.FIRST + data)


def tagged(seed, n_bytes):
    """Random bytes, most of them tags and small counts, so that many are nearly right."""
    r = random.Random(seed)
    alphabet = b"".join(plain_read.READERS) + b"\0\0\0\0\1\2\3"
    return plain.FIRST + bytes(r.choice(alphabet) for _ in range(n_bytes))


def test_random_tags():
    for seed in range(20_000):
        read(tagged(seed, seed % 40 + 1))


def count(n):
    return struct.pack("<I", n)


def name(text):
    return count(len(text)) + text.encode()


BAD = {
    "a length of 4 GiB": b"b" + count(2**32 - 1),
    "a list of 4 G values": b"[" + count(2**32 - 1),
    "an array of many bytes": b"a\0\3" + count(2**31) * 3,
    "an array that is not beside it": b"A" + count(7),
    "a tensor that is not beside it": b"T" + count(1),
    "an unknown subclass": b"P" + count(0) + name("Evil"),
    "a deep value": (b"[" + count(1)) * 1000 + b"n",
    "an unhashable key": b"{" + count(1) + b"[" + count(0) + b"n",
    "text that is no text": b"s" + count(1) + b"\xff",
    "an unknown tag": b"?",
    "a dtype of none": b"Y\xff",
    "a reference of no kind": b"R" + name("os:system") + b"(" + count(0),
    "a function as class": b"D" + name("nbgrad.rpc.owner:fetch") + b"(" + count(0),
    "a class without its fields": b"D" + name("nbgrad.rpc.workers:WorkerInfo") + b"(" + count(0),
    "a class that is no enum": b"E" + name("nbgrad.rpc.workers:WorkerInfo") + b"s" + name("x"),
    "a class that is no tuple": b"N" + name("nbgrad.rpc.workers:WorkerInfo") + b"(" + count(0),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_damaged_is_said(what):
    with pytest.raises(RpcError, match="a message can't be read"):
        plain_read.read(plain.FIRST + BAD[what], [np.ones(1)], [], codec.Tensors, codec.reducers)


@pytest.mark.parametrize(
    "found", ["os:system", "builtins:eval", "nbgrad.rpc.trust:register", "nbgrad:nn", "x", ""]
)
def test_only_registered_names_are_found(nothing_runs, found):
    for tag in (b"F", b"D", b"E", b"N"):
        with pytest.raises(NotRegistered, match="is not registered on this worker"):
            plain_read.read(plain.FIRST + tag + name(found), [], [], codec.Tensors, {})
