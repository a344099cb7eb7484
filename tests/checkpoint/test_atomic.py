"""Writers that fail or are killed at each point leave the old file or the new one."""

import os
import signal
from pathlib import Path

import pytest

from nbgrad.checkpoint import atomic

POINTS = ["write", "sync", "os.replace", "folder"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(name):
        Path(name).write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        atomic.replace(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_at_any_point_leaves_a_whole_file(tmp_path, point):
    path = tmp_path / "file"
    path.write_text("old")
    pid = os.fork()
    if pid == 0:
        killed_at(point, path)
        os._exit(1)  # it has not been killed
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert path.read_text() == ("new" if point == "folder" else "old")


def killed_at(point, path):
    """In a child: replace the file, and be killed just before what `point` names."""

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def write(name):
        Path(name).write_text("ne")
        if point == "write":
            die()
        Path(name).write_text("new")

    true_sync = atomic.sync
    if point == "sync":
        atomic.sync = die
    if point == "folder":
        atomic.sync = lambda where: die() if Path(where).is_dir() else true_sync(where)
    if point == "os.replace":
        os.replace = die
    atomic.replace(path, write)
