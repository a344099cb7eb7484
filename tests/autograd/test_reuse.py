"""Reuse of memory as programs see it: a training step after warm-up takes none from the system."""

import resource
import threading

import numpy as np
from numpy._core.multiarray import get_handler_name

import nbgrad as nb
from nbgrad.autograd import kept, reuse
from nbgrad.autograd.reuse import Reuse
from nbgrad.nn import functional as F


def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class Reader(nb.nn.Module):
    """A layer of each kind that makes large arrays."""

    def __init__(self):
        super().__init__()
        self.image = nb.nn.Conv2d(1, 8, 3, padding=1)
        self.words = nb.nn.LSTM(98, 64, batch_first=True)
        self.norm = nb.nn.LayerNorm(64)
        self.attention = nb.nn.TransformerEncoderLayer(64, 4, 128, 0.0, batch_first=True)
        self.head = nb.nn.Linear(64, 10)

    def forward(self, x):
        y = F.max_pool2d(F.gelu(self.image(x)), 2)
        y = self.norm(self.words(y.reshape(len(x), 16, 98))[0])
        return self.head(self.attention(y).mean(1))


def test_a_training_step_takes_no_memory_after_warm_up():
    nb.manual_seed(0)
    model = Reader()
    optimizer = nb.optim.Adam(model.parameters())
    x, labels = nb.randn(32, 1, 28, 28), nb.randint(0, 10, (32,))

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    for _ in range(4):
        step()
    before, faults = nb.buffer_statistics(), page_faults()
    for _ in range(4):
        step()
    after = nb.buffer_statistics()
    assert after.reused - before.reused > 4 * 20  # it does make large arrays
    assert after.taken == before.taken
    assert after.peak_bytes == before.peak_bytes
    # 1.5 MB of results a step are 400 pages; the rest of Python takes one now and then
    assert page_faults() - faults < 100


def test_large_arrays_of_numpy_share_the_memory():
    assert reuse.install()
    x = np.full(50_000, 3.0)
    assert get_handler_name(x) == "nbgrad"
    place = x.ctypes.data
    del x
    assert nb.empty(50_000, dtype=nb.float64).array.ctypes.data == place


def test_an_array_of_another_thread_is_freed_here():
    made = []

    def make():
        made.append(np.ones(50_000))
        made.append(get_handler_name(made[0]))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert made[1] == "default_allocator"  # of the thread's own context
    used = nb.buffer_statistics().used_bytes
    made.clear()
    assert nb.buffer_statistics().used_bytes == used


def test_release_gives_back_what_is_kept():
    np.ones(50_000)
    nb.release_buffers()
    assert nb.buffer_statistics().kept_bytes == 0
    assert "0.0 MiB kept" in str(nb.buffer_statistics())


def afresh(monkeypatch):
    monkeypatch.setattr(Reuse, "is_decided", False)
    monkeypatch.setattr(Reuse, "state", np.zeros(kept.STATE_WORDS, np.int64))


def test_a_handler_of_the_program_stays(monkeypatch):
    assert reuse.install()  # ours is as good as any other
    afresh(monkeypatch)
    assert not reuse.install()
    assert not reuse.install()


def test_it_can_be_turned_off(monkeypatch):
    afresh(monkeypatch)
    monkeypatch.setenv("NBGRAD_REUSE", "0")
    assert not reuse.install()
    nb.release_buffers()  # nothing to do
