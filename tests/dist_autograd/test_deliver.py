"""Delivery into the table of a pass: in Python and in one native call, which do the same."""

import random
import sys

import numpy as np
import pytest

from nbgrad.dist_autograd.deliver import MOST, ONE_EACH, deliver, ready_deliver

FORMS = [deliver, ready_deliver()]


@pytest.fixture(params=FORMS, ids=["python", "native"])
def form(request):
    return request.param


def array(value):
    return np.full(2, value)


def test_what_comes_first_is_kept_as_it_is(form):
    g, ready = array(1.0), []
    table = {"a": [2, None], "b": [1, [None, None]]}
    assert form((("a", 0), ("b", 1)), (g, g), ONE_EACH, table, ready) is None
    assert table["a"][0] == 1
    assert table["a"][1] is g
    assert table["b"] == [0, [None, g]]
    assert ready == ["b"]


def test_what_comes_later_is_left_to_be_added(form):
    first, g = array(1.0), array(2.0)
    one, many = [2, first], [2, [None, first]]
    more = form((("a", 0), ("b", 1)), (g, g), ONE_EACH, {"a": one, "b": many}, [])
    assert [(edge, entry is one) for edge, entry, _ in more] == [
        (("a", 0), True),
        (("b", 1), False),
    ]
    assert more[1][1] is many
    assert all(left is g for _, _, left in more)
    assert (one, many) == ([1, first], [1, [None, first]])


def test_a_mask_says_whose_gradients_there_are(form):
    first, second = array(1.0), array(2.0)
    table = {name: [1, None] for name in "abcd"}
    ready = []
    edges = tuple((name, 0) for name in "abcd")
    assert form(edges, (first, second), 0b1010, table, ready) is None
    assert [entry[1] for entry in table.values()] == [None, first, None, second]
    assert ready == ["a", "b", "c", "d"]


def test_nothing_is_delivered_to_all(form):
    table, ready = {"a": [2, None], "b": [1, None]}, []
    assert form((("a", 0), None, ("b", 0), ("a", 0)), (), 0, table, ready) is None
    assert table == {"a": [0, None], "b": [0, None]}
    assert ready == ["b", "a"]


def test_a_target_twice_gets_both(form):
    g, h = array(1.0), array(2.0)
    table, ready = {"a": [2, None]}, []
    ((_, entry, left),) = form((("a", 0), ("a", 0)), (g, h), ONE_EACH, table, ready)
    assert entry[1] is g
    assert left is h
    assert ready == ["a"]


@pytest.mark.parametrize("seed", range(30))
def test_both_forms_do_the_same(seed):
    draw = random.Random(seed)
    names = "abcdefgh"
    values = [array(float(k)) for k in range(70)]
    outputs = {name: draw.choice([1, 1, 2, 3]) for name in names}

    def table():
        again = random.Random(seed)
        made = {}
        for name in names:
            sums = [again.choice([None, values[0]]) for _ in range(outputs[name])]
            made[name] = [again.choice([1, 2, 400]), sums[0] if outputs[name] == 1 else sums]
        return made

    edges = []
    for _ in range(draw.choice([1, 3, MOST])):
        name = draw.choice(names)
        edges.append(draw.choice([None, *[(name, draw.randrange(outputs[name]))] * 5]))
    mask = draw.choice([ONE_EACH, 0, draw.getrandbits(len(edges))])
    n = len(edges) if mask == ONE_EACH else mask.bit_count()
    given = tuple(draw.choice([None, *values[1:6]]) if mask < 0 else values[k] for k in range(n))
    found = []
    for each in FORMS:
        made, ready = table(), []
        more = each(tuple(edges), given, mask, made, ready)
        places = {id(entry): name for name, entry in made.items()}
        left = more and [(edge, places[id(entry)], id(g)) for edge, entry, g in more]
        state = {
            name: (n_left, [id(s) for s in sums] if type(sums) is list else id(sums))
            for name, (n_left, sums) in made.items()
        }
        found.append((left, state, ready))
    assert found[0] == found[1]


def test_references_do_not_drift(form):
    g, edges = array(1.0), (("a", 0), ("b", 0), ("b", 1), None)

    def run():
        table = {"a": [1, g], "b": [1000, [None, None]]}
        form(edges, (g, g, g, None), ONE_EACH, table, [])

    run()
    before = sys.getrefcount(g), sys.getrefcount(edges), sys.getrefcount(None)
    for _ in range(300):
        run()
    after = sys.getrefcount(g), sys.getrefcount(edges), sys.getrefcount(None)
    assert after[:2] == before[:2]
    assert abs(after[2] - before[2]) < 100


@pytest.mark.parametrize(
    "edges",
    [[("a", 0)], (("a",),), (("a", 0, 0),), (["a", 0],), (("z", 0),), (("b", 2),), (("b", -1),)],
)
def test_what_does_not_fit_is_refused(edges):
    with pytest.raises(TypeError):
        ready_deliver()(edges, (1.0,), ONE_EACH, {"a": [1, None], "b": [1, [None, None]]}, [])
