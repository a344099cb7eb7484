"""Events with one name, added up, and the table of them."""

import pytest

from nbgrad.profile import Event
from nbgrad.profile.averages import averages


def events():
    return [
        Event("worker0", "forward", "mul", 0, 10_000, 1),
        Event("worker0", "forward", "add", 2_000, 5_000, 1),
        Event("worker1", "forward", "mul", 0, 30_000, 1),
        Event("worker1", "backward", "mul", 40_000, 41_000, 1),
        Event("worker0", "rpc", "f(worker0 -> worker1)", 0, 90_000, 1),
    ]


def test_kinds_and_names_are_added_up():
    found = {(row.kind, row.key): row for row in averages(events(), by_worker=False)}
    mul = found["forward", "mul"]
    assert (mul.count, mul.cpu_time_total, mul.self_cpu_time_total, mul.cpu_time) == (2, 40, 37, 20)
    assert len(found) == 4
    assert {row.worker for row in found.values()} == {""}


def test_by_worker():
    found = averages(events(), by_worker=True)
    assert {(row.worker, row.count) for row in found if row.key == "mul"} == {
        ("worker0", 1),
        ("worker1", 1),
    }


def test_the_table_is_sorted_and_cut():
    found = averages(events(), by_worker=False)
    lines = found.table(sort_by="cpu_time_total", row_limit=2).splitlines()
    assert len(lines) == 4
    assert lines[1].split()[:2] == ["rpc", "f(worker0"]
    assert lines[2].split() == ["forward", "mul", "2", "40.0", "37.0", "90.2", "20.0"]
    assert lines[3] == "... 2 more"
    names = [line.split()[1] for line in found.table(sort_by="name", row_limit=-1).splitlines()]
    assert names[1:] == sorted(names[1:])
    assert "worker0" in averages(events(), by_worker=True).table()
    assert averages([], by_worker=False).table().startswith("kind")


def test_an_unknown_column_is_refused():
    with pytest.raises(ValueError, match="can't sort by 'cuda_time'; choose one of cpu_time_total"):
        averages(events(), by_worker=False).table(sort_by="cuda_time")


def test_long_names_are_shortened():
    (row,) = (
        averages([Event("w", "forward", "x" * 80, 0, 1, 1)], by_worker=False)
        .table()
        .splitlines()[1:]
    )
    assert "xxx..." in row
    assert "x" * 56 not in row
