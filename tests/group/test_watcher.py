"""The watcher: deaths are noticed in groups that nobody supervises, and it does not outlive them."""

import os
import signal

from tests.group.programs import children, program, wait_gone

MEMBER = """
import os, signal, sys
from nbgrad.errors import WorkerDied
from nbgrad.group import join

rank = int(sys.argv[1])
session = join(f"w{rank}", rank, 3)
print("met", flush=True)
try:
    while True:
        session.check()
except WorkerDied as error:
    print(error.name, error.exitcode, flush=True)
"""

LEAVER = """
import sys
from nbgrad.group import join

rank = int(sys.argv[1])
join(f"w{rank}", rank, 2).leave()
print("left", flush=True)
sys.stdin.read()
"""


def key_of(tmp_path):
    return {"NBGRAD_RUN_ID": str(tmp_path)}


def test_a_death_is_told_to_the_others(nothing_left, tmp_path):
    with (
        program(tmp_path, MEMBER, 0, **key_of(tmp_path)) as zero,
        program(tmp_path, MEMBER, 1, **key_of(tmp_path)) as one,
        program(tmp_path, MEMBER, 2, **key_of(tmp_path)) as two,
    ):
        for member in (zero, one, two):
            assert member.stdout.readline() == "met\n"
        (watcher,) = children(zero.pid)
        os.kill(zero.pid, signal.SIGKILL)  # the one that started the watcher
        for member in (one, two):
            assert member.stdout.readline() == "w0 None\n"
            assert member.wait(10) == 0
        assert wait_gone([watcher], 2.0) == []


def test_the_watcher_ends_with_the_group(nothing_left, tmp_path):
    with (
        program(tmp_path, LEAVER, 0, **key_of(tmp_path)) as zero,
        program(tmp_path, LEAVER, 1, **key_of(tmp_path)) as one,
    ):
        for member in (zero, one):
            assert member.stdout.readline() == "left\n"
        assert wait_gone(children(zero.pid), 5.0) == []
        assert zero.poll() is None


def test_a_killed_rank_0_leaves_no_name(nothing_left, tmp_path):
    with program(tmp_path, MEMBER, 0, **key_of(tmp_path)) as zero:
        (watcher,) = wait_children(zero.pid)
        zero.kill()
        assert wait_gone([watcher], 5.0) == []  # nothing_left looks for the name


def wait_children(pid):
    found = []
    while not found:  # ends by pytest's timeout
        found = children(pid)
    return found
