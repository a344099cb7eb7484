"""memory_summary(): blocks in use and free, per size class, and what found the arena full."""

import numpy as np

import nbgrad as nb
from nbgrad.shm import summary
from nbgrad.shm.arena import class_bytes, class_of
from tests.shm.place import bindings

F8 = np.dtype("f8")


def only(bytes_, found):
    return next(size for size in found.size_classes if size.block_bytes == bytes_)


def test_blocks_are_counted_by_size(monkeypatch):
    with bindings(2, arena_bytes=1 << 26) as (binding, other):
        monkeypatch.setattr(summary, "current", [binding])
        assert nb.memory_summary().size_classes == ()
        small = [binding.empty((1000,), F8) for _ in range(3)]
        large = binding.empty((100, 1000), F8)
        block_bytes = class_bytes(class_of(8000))
        large_bytes = class_bytes(class_of(800_000))
        del small[0]
        found = nb.memory_summary()
        assert only(block_bytes, found) == summary.SizeClass(block_bytes, 2, 1)
        assert only(large_bytes, found) == summary.SizeClass(large_bytes, 1, 0)
        assert found.used_bytes == 2 * block_bytes + large_bytes
        assert found.free_bytes == block_bytes
        assert found.used_bytes + found.free_bytes <= found.committed_bytes
        assert found.committed_bytes <= found.capacity_bytes == 1 << 26
        assert found.others == ((1, 4096),)
        again = binding.empty((1000,), F8)  # the free one
        assert only(block_bytes, nb.memory_summary()) == summary.SizeClass(block_bytes, 3, 0)
        del large, again, other


def test_arrays_that_find_it_full_are_counted(monkeypatch):
    with bindings(1, arena_bytes=1 << 26) as (binding,):
        monkeypatch.setattr(summary, "current", [binding])
        assert binding.empty((1 << 24,), F8) is None
        found = nb.memory_summary()
        assert (found.fallbacks, found.fallback_bytes) == (1, 1 << 27)
        assert "arrays that found it full: 1 (128.0 MiB)" in str(found)


def test_the_text_has_a_row_per_size(monkeypatch):
    with bindings(2, arena_bytes=1 << 26) as (binding, _):
        monkeypatch.setattr(summary, "current", [binding])
        x = binding.empty((1000,), F8)
        text = str(nb.memory_summary())
        assert text.splitlines()[0].startswith("arena: 0.0 MiB used")
        assert "rank 1 0.0 MiB" in text
        row = text.splitlines()[-1].split()
        assert row[:3] == [str(class_bytes(class_of(8000))), "1", "0"]
        del x
