import pytest

from nbgrad.parallel.schedules import SCHEDULES, gpipe, ideal_bubble, one_f_one_b


def span(make, p, m):
    """Units of time that all stages need if each forward and backward takes one."""
    orders = [make(stage, p, m) for stage in range(p)]
    done, clock, at = {}, [0] * p, [0] * p
    while any(at[stage] < 2 * m for stage in range(p)):
        moved = False
        for stage in range(p):
            if at[stage] == 2 * m:
                continue
            kind, k = orders[stage][at[stage]]
            before = stage - 1 if kind == "F" else stage + 1
            needed = (kind, k, before) if 0 <= before < p else ("F", k, stage)
            if (kind == "F" and stage == 0) or needed in done:
                clock[stage] = max(clock[stage], done.get(needed, 0)) + 1
                done[kind, k, stage] = clock[stage]
                at[stage] += 1
                moved = True
        assert moved, "a deadlock"
    return max(clock)


def held(order):
    most = now = 0
    for kind, _ in order:
        now += 1 if kind == "F" else -1
        most = max(most, now)
    return most


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("p", "m"), [(1, 1), (2, 1), (2, 8), (3, 2), (4, 4), (4, 9)])
def test_each_micro_batch_once_and_the_bubble_of_the_formula(name, p, m):
    make = SCHEDULES[name]
    for stage in range(p):
        order = make(stage, p, m)
        assert sorted(order) == sorted([(kind, k) for kind in "FB" for k in range(m)])
        assert all(order.index(("F", k)) < order.index(("B", k)) for k in range(m))
    assert 1 - 2 * m / span(make, p, m) == pytest.approx(ideal_bubble(p, m))


def test_one_f_one_b_holds_fewer():
    assert [held(gpipe(stage, 3, 8)) for stage in range(3)] == [8, 8, 8]
    assert [held(one_f_one_b(stage, 3, 8)) for stage in range(3)] == [3, 2, 1]
