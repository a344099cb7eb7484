import pytest

from nbgrad.errors import StartupError
from nbgrad.group import rank_and_size
from nbgrad.group.address import key_of

NAMES = ("RANK", "WORLD_SIZE", "NBGRAD_RUN_ID", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_one_name_whatever_says_it(environment):
    environment.setenv("MASTER_ADDR", "localhost")
    environment.setenv("MASTER_PORT", "29500")
    wanted = "127.0.0.1:29500"
    for init_method in (
        None,
        "",
        "env://",
        "env://?rank=0&world_size=2",
        "tcp://127.0.0.1:29500",
        "tcp://localhost:29500?rank=1",
        "tcp://[::1]:29500",
    ):
        assert key_of(init_method) == wanted, init_method
    assert key_of("tcp://localhost:29501") != wanted
    assert key_of("tcp://node:29500") != wanted


def test_names_of_files_and_others():
    assert key_of("file:///tmp/a?rank=0") == key_of("file:///tmp/./a") == "file:///tmp/a"
    assert key_of("/tmp/a") == "/tmp/a"
    assert key_of("mine") == "mine"
    assert key_of(None) is None


@pytest.mark.parametrize(
    ("init_method", "kind", "text"),
    [
        ("mpi://x", StartupError, "No rendezvous handler for mpi://"),
        ("tcp://localhost", ValueError, "tcp:// rendezvous: port number missing"),
        ("file://", ValueError, "file:// rendezvous: path missing"),
        (5, ValueError, "must be a string"),
    ],
)
def test_what_names_nothing_is_refused(init_method, kind, text):
    with pytest.raises(kind, match=text):
        key_of(init_method)


def test_rank_and_size_by_precedence(environment):
    url = "tcp://localhost:29500?rank=1&world_size=3"
    assert rank_and_size(None, -1, None) == (None, None)
    assert rank_and_size(url, -1, None) == (1, 3)
    assert rank_and_size(url, 1, 3) == (1, 3)
    environment.setenv("RANK", "5")
    environment.setenv("WORLD_SIZE", "6")
    assert rank_and_size(None, -1, None) == (5, 6)
    assert rank_and_size(url, -1, None) == (1, 3)
    assert rank_and_size("env://", 2, -1) == (2, 6)


@pytest.mark.parametrize(
    ("init_method", "variable", "text"),
    [
        ("env://?rank=2", "0", "rank is 1, but init_method .* says 2"),
        ("env://?rank=two", "0", "rank is 'two' in 'env://"),
        (None, "first", "rank is 'first' in the environment"),
    ],
)
def test_numbers_that_are_none_or_differ_are_refused(environment, init_method, variable, text):
    environment.setenv("RANK", variable)
    with pytest.raises(ValueError, match=text):
        rank_and_size(init_method, 1, 2)
