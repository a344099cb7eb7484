"""The object cache: safe places only, whole files only, one compiler at a time."""

import os
import threading
from multiprocessing.connection import wait

import pytest

from nbgrad.jit import store
from tests.conftest import processes


def test_what_was_made_is_found(empty_store):
    assert store.load("thing") is None
    assert store.load_or_make("thing", lambda: b"code") == b"code"
    assert store.load("thing") == b"code"
    assert store.load_or_make("thing", lambda: pytest.fail("made twice")) == b"code"


def test_two_threads_make_it_once(empty_store):
    made, started = [], threading.Barrier(2)

    def make():
        made.append(1)
        return b"code"

    def run():
        started.wait()
        assert store.load_or_make("thing", make) == b"code"

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_the_folder_is_for_this_user_only(empty_store):
    assert store.folder().stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_is_refused(empty_store):
    os.chmod(store.folder(), 0o777)
    store.folder.cache_clear()
    assert store.folder() is None
    assert store.load_or_make("thing", lambda: b"code") == b"code"  # works, without keeping it


def test_a_place_that_can_not_be_made_is_no_place(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    store.folder.cache_clear()
    try:
        assert store.folder() is None
    finally:
        store.folder.cache_clear()


def test_no_half_file_is_ever_seen(empty_store):
    store.save(store.folder(), "thing", b"code")
    assert [path.suffix for path in store.folder().iterdir()] == [".o"]


def test_digest_depends_on_where_parts_end():
    assert store.digest(b"ab", b"c") != store.digest(b"a", b"bc")


def test_the_digest_of_a_source_is_that_of_its_text(tmp_path):
    one, two, other = (tmp_path / name for name in ("one.py", "two.py", "other.py"))
    one.write_text("a")
    two.write_text("a")
    other.write_text("b")
    assert store.source_digest(str(one)) == store.source_digest(str(two))
    assert store.source_digest(str(one)) != store.source_digest(str(other))


def make_slowly(folder, pipe):
    os.environ["XDG_CACHE_HOME"] = folder
    store.folder.cache_clear()

    def make():
        pipe.send("making")
        pipe.recv()
        return b"code"

    pipe.send(store.load_or_make("thing", make))


def test_two_processes_make_it_once(tmp_path, nothing_left):
    """The second waits for the lock of the first, and then finds what it has made."""
    started = []
    for _ in range(2):
        ours, theirs = processes.Pipe()
        process = processes.Process(target=make_slowly, args=(str(tmp_path), theirs))
        process.start()
        theirs.close()
        started.append((process, ours))
    pipes = [ours for _, ours in started]
    maker = wait(pipes, timeout=60)[0]
    assert maker.recv() == "making"
    maker.send("go on")
    assert [pipe.recv() for pipe in pipes] == [b"code", b"code"]
    for process, ours in started:
        process.join()
        process.close()
        ours.close()


def test_a_killed_maker_leaves_the_lock_to_the_next(tmp_path, nothing_left):
    for kills in (True, False):
        ours, theirs = processes.Pipe()
        process = processes.Process(target=make_slowly, args=(str(tmp_path), theirs))
        process.start()
        theirs.close()
        assert ours.recv() == "making"  # again: nothing was kept of the killed one
        if kills:
            process.kill()
        else:
            ours.send("go on")
            assert ours.recv() == b"code"
        process.join()
        process.close()
        ours.close()
