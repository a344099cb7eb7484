import numpy as np
import pytest

import nbgrad as nb
from nbgrad.capture.guard import Surroundings, flatten, seen

GLOBAL = 1


def key(*args):
    return flatten(args, [])


def test_arrays_come_out_in_order():
    x, y, z = nb.ones(1), nb.ones(2), np.ones(3)
    arrays = []
    flatten(([x, {"a": y}], 3, z), arrays)
    assert [a is b for a, b in zip(arrays, (x, y, z), strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nb.ones(2), nb.ones(3)),
        (nb.ones(2), nb.ones(2).double()),
        (nb.ones(2, 2), nb.ones(2, 2).transpose(0, 1)[:, ::1].t().expand(2, 2)[::1].mT),
        (nb.ones(2), nb.ones(2, requires_grad=True)),
        (1, 1.0),
        (1, True),
        ([1], (1,)),
        ({"a": 1}, {"b": 1}),
        (nb.ones(1), np.ones(1, np.float32)),
    ],
)
def test_what_differs_has_another_key(one, other):
    if isinstance(one, nb.Tensor) and isinstance(other, nb.Tensor) and one.ndim == 2:
        other = nb.ones(2, 3).t()[:2]  # other steps in memory
        assert one.shape == other.shape
    assert key(one) == key(one)
    assert key(one) != key(other)


def test_values_of_tensors_do_not_count():
    assert key(nb.ones(2)) == key(nb.zeros(2))


def test_modules_count_by_their_mode():
    model = nb.nn.Sequential(nb.nn.Linear(1, 1), nb.nn.Dropout())
    before = seen(model)
    model[1].eval()
    assert seen(model) != before
    model[1].train()
    assert seen(model) == before


def test_surroundings_are_closure_globals_and_self(monkeypatch):
    k = 1

    def step():
        return k + GLOBAL

    surroundings = Surroundings(step)
    before = surroundings.key()
    assert surroundings.key() == before
    k = 2
    after = surroundings.key()
    assert after != before
    monkeypatch.setitem(globals(), "GLOBAL", 5)
    assert surroundings.key() != after


def test_an_unset_variable_of_a_closure_is_fine():
    def step():
        return later

    before = Surroundings(step).key()
    later = 3
    assert Surroundings(step).key() != before


def test_objects_that_change_are_looked_at_again():
    grown, model = [1], nb.nn.Dropout()

    def of_list():
        return grown

    def of_model():
        return model

    surroundings = Surroundings(of_list), Surroundings(of_model)
    before = [one.key() for one in surroundings]
    assert [one.key() for one in surroundings] == before
    grown.append(2)
    model.eval()
    assert all(one.key() != key for one, key in zip(surroundings, before, strict=True))


def test_the_mode_of_gradients_is_part_of_the_key():
    x = nb.ones(1)
    surroundings = Surroundings(lambda: x)
    before = surroundings.key()
    with nb.no_grad():
        assert surroundings.key() != before
    assert surroundings.key() == before
