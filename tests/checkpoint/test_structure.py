import json
from collections import Counter, OrderedDict

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.checkpoint.structure import Arrays, decode, encode
from nbgrad.errors import DtypeError


def round_trip(obj):
    arrays = Arrays(lambda path, number: number)
    root = json.loads(json.dumps(encode(obj, arrays)))
    return decode(root, arrays.found.__getitem__), arrays


def test_containers_keep_their_types():
    obj = {"a": [1, (2.5, None)], "b": OrderedDict(c=True), 3: Counter({10: 1, 20: 2})}
    back, arrays = round_trip(obj)
    assert back == obj
    assert type(back["b"]) is OrderedDict
    assert back[3][99] == 0  # a Counter answers for what it does not hold
    assert not arrays.found


def test_arrays_over_the_same_elements_are_one():
    x = np.arange(6.0)
    _, arrays = round_trip([x, x[:], x.reshape(2, 3), x[::2], nb.from_numpy(x)])
    assert [array.shape for array in arrays.found.values()] == [(6,), (2, 3), (3,)]


def test_paths_name_arrays_and_errors():
    paths = []
    encode({"a": [0, np.ones(1)]}, Arrays(lambda path, number: paths.append(path)))
    assert paths == [("a", 1)]
    with pytest.raises(DtypeError, match=r"the object\['a'\]\[0\] is a builtins"):
        round_trip({"a": [print]})
    table = nb.nn.Embedding(3, 2, sparse=True)
    table(nb.tensor([1])).sum().backward()
    with pytest.raises(DtypeError, match=r"the object\[0\] is a sparse tensor"):
        round_trip([table.weight.grad])
    with pytest.raises(ValueError, match="unknown kind 'evil'"):
        decode(["evil", 1], None)
