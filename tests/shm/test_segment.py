"""Segments: sparse, committed before use, named ones private."""

import os

import psutil
import pytest

from nbgrad.errors import SharedMemoryFull, StartupError
from nbgrad.shm import words
from nbgrad.shm.segment import PREFIX, SHM, Segment
from tests.shm.place import unique

MIB = 1 << 20


def test_a_large_range_takes_no_memory_until_it_is_committed():
    segment = Segment.inherited(1 << 32)
    try:
        assert os.fstat(segment.descriptor).st_blocks == 0
        segment.commit(0, MIB)
        assert os.fstat(segment.descriptor).st_blocks == 2048
        words.store(segment.address, 7)
        assert words.load(segment.address) == 7
    finally:
        segment.close()
        segment.unmap()


def test_more_than_there_is_is_an_error_with_figures():
    segment = Segment.inherited(1 << 30)
    try:
        with pytest.raises(SharedMemoryFull, match="MiB of memory are available"):
            segment.commit(0, 1 << 44)
    finally:
        segment.close()
        segment.unmap()


def test_without_a_descriptor_for_meminfo_the_kernel_decides(monkeypatch):
    def none_left():
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(psutil, "virtual_memory", none_left)
    segment = Segment.inherited(MIB)
    try:
        segment.commit(0, MIB)
        assert os.fstat(segment.descriptor).st_blocks == 2048
    finally:
        segment.close()
        segment.unmap()


def test_what_a_forked_child_writes_stays_its_own():
    segment = Segment.inherited(MIB)
    segment.commit(0, MIB)
    words.store(segment.address, 7)
    child = os.fork()
    if child == 0:
        is_copy = segment.make_private() and words.load(segment.address) == 7
        words.store(segment.address, 8)
        os._exit(0 if is_copy and words.load(segment.address) == 8 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert words.load(segment.address) == 7
    segment.close()
    assert not segment.make_private()  # it can't be mapped again
    segment.unmap()


def test_an_inherited_segment_can_not_be_shrunk():
    segment = Segment.inherited(MIB)
    try:
        with pytest.raises(PermissionError):
            os.ftruncate(segment.descriptor, 0)
    finally:
        segment.close()
        segment.unmap()


def test_a_named_segment_is_shared_private_and_removed_by_its_owner():
    one = Segment.create(unique("test-named"), MIB)
    path = f"{SHM}/{PREFIX}{unique('test-named')}"
    try:
        assert os.stat(path).st_mode & 0o777 == 0o600
        with pytest.raises(FileExistsError):
            Segment.create(unique("test-named"), MIB)
        two = Segment.attach(unique("test-named"))
        one.commit(0, 4096)
        words.store(one.address, 5)
        assert words.load(two.address) == 5
        two.close()
        assert os.path.exists(path)
    finally:
        one.close()
    assert not os.path.exists(path)


def test_a_name_that_others_can_open_is_refused():
    one = Segment.create(unique("test-open"), MIB)
    try:
        os.chmod(f"{SHM}/{PREFIX}{unique('test-open')}", 0o644)
        with pytest.raises(StartupError, match="somebody else took the name"):
            Segment.attach(unique("test-open"))
    finally:
        one.close()


def test_a_missing_name_is_not_found():
    with pytest.raises(FileNotFoundError):
        Segment.attach(unique("test-missing"))


def test_a_segment_that_can_not_be_mapped_leaves_no_name():
    with pytest.raises(StartupError, match="can't map"):
        Segment.create(unique("test-huge"), 1 << 62)
    assert not os.path.exists(f"{SHM}/{PREFIX}{unique('test-huge')}")
