"""`nbgrad ps` and `nbgrad clean`: what they print."""

import json

import pytest
from click.testing import CliRunner

from nbgrad.cli import main
from nbgrad.group import census

MEMBERS = (
    census.Member(0, 4_000_001, "trainer", "ready"),
    census.Member(1, 0, "", "not here"),
)


@pytest.fixture
def shown(monkeypatch):
    """What a command prints where the census finds these groups."""

    def show(groups, *arguments):
        monkeypatch.setattr(census, "groups", lambda: groups)
        result = CliRunner().invoke(main, arguments, env={"COLUMNS": "120"})
        assert result.exit_code == 0, result.output
        return result.output

    return show


def test_the_table_names_workers_and_states(shown):
    text = shown([census.Census((1, 2), 1, 3 << 20, MEMBERS)], "ps")
    assert "trainer" in text
    assert "4000001" in text
    assert "not here" in text


def test_json_has_all_of_it(shown):
    (group,) = json.loads(shown([census.Census((1, 2), 5, 3 << 20, MEMBERS)], "ps", "--json"))
    assert group["generation"] == 5
    assert group["members"][0] == {"rank": 0, "pid": 4_000_001, "name": "trainer", "state": "ready"}


def test_no_groups(shown):
    assert shown([], "ps") == "no groups of this user\n"
    assert json.loads(shown([], "ps", "--json")) == []


def test_clean_says_what_it_removed(monkeypatch):
    for removed, text in (
        (["/dev/shm/nbgrad-a"], "removed /dev/shm/nbgrad-a\n"),
        ([], "nothing to remove\n"),
    ):
        monkeypatch.setattr(census, "clean", lambda found=removed: found)
        assert CliRunner().invoke(main, ["clean"]).output == text
