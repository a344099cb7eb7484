"""The watcher: deaths are noticed in groups that nobody supervises, and it does not outlive them."""

import os
import signal

from nbgrad.group import control
from nbgrad.group.watcher import Watcher
from nbgrad.shm import words
from nbgrad.shm.layout import PID, POISON, READY, STATE, Layout
from nbgrad.shm.segment import Segment
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


THREAD = """
import sys, threading
thread = threading.Thread(target=sys.stdin.read)
thread.start()
print(thread.native_id, flush=True)
thread.join()
"""


def test_a_pid_that_is_a_thread_of_another_process_by_now_has_ended(nothing_left, tmp_path):
    """(!) pidfd_open has another error for it than for a pid that nobody has, and the watcher ended in it."""
    layout = Layout(2)
    segment = Segment.inherited(layout.size_bytes)
    try:
        control.commit(segment, layout)
        control.initialise(segment, layout, 0)
        member = segment.address + layout.worker(1)
        with program(tmp_path, THREAD) as other:
            words.store(member + PID, int(other.stdout.readline()))
            words.store(member + STATE, READY)
            assert Watcher(segment).look() == 0
            assert words.load(member + POISON) != 0
            assert other.poll() is None
    finally:
        segment.close()
        segment.unmap()


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
