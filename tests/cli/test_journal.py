"""The journal: whole lines, in order, with exact values, and never a wait."""

import math

from nbgrad.cli.journal import Journal, Tail


def test_lines_come_once_and_in_order(tmp_path):
    journal, tail = Journal(tmp_path / "journal"), Tail(tmp_path / "journal")
    assert tail.read() == []
    journal.write(a=1)
    journal.write(b=[1, 2])
    assert tail.read() == [{"a": 1}, {"b": [1, 2]}]
    assert tail.read() == []
    journal.write(c="end\nof line")
    assert tail.read() == [{"c": "end\nof line"}]


def test_half_a_line_is_left_for_later(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(b'{"a": 1}\n{"b"')
    tail = Tail(path)
    assert tail.read() == [{"a": 1}]
    with open(path, "ab") as file:
        file.write(b": 2}\n")
    assert tail.read() == [{"b": 2}]


def test_floats_keep_their_value(tmp_path):
    value = math.pi * 1e-9
    Journal(tmp_path / "journal").write(loss=value)
    assert Tail(tmp_path / "journal").read() == [{"loss": value}]
