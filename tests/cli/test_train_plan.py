"""The batches of a plan: all from the seed, every image once per epoch, moved by at most a pixel."""

import numpy as np

from nbgrad.cli import train_plan
from nbgrad.cli.train_plan import Plan, batches, jitter
from nbgrad.data import digits


def test_same_seed_gives_the_same_batches_and_another_gives_others():
    first, again, other = (
        [x for epoch in batches(Plan(epochs=2, seed=seed), digits()) for x, _ in epoch]
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_each_epoch_holds_every_image_once(monkeypatch):
    monkeypatch.setattr(train_plan, "jitter", lambda x, rng: x)
    data = digits()
    for epoch in batches(Plan(epochs=2, batch_size=100), data):
        assert [len(x) for x, _ in epoch] == [100] * 14 + [37]
        found = np.concatenate([np.c_[x, y] for x, y in epoch])
        wanted = np.c_[data.train_x, data.train_y]
        assert np.array_equal(*(np.unique(rows, axis=0) for rows in (found, wanted)))


def test_jitter_moves_half_of_the_images_by_up_to_one_pixel(monkeypatch):
    monkeypatch.setattr(train_plan, "NOISE", 0.0)
    dot = np.zeros((2000, 8, 8), np.float32)
    dot[:, 4, 4] = 1
    images = jitter(dot.reshape(2000, 64), np.random.default_rng(0)).reshape(2000, 8, 8)
    where = np.argwhere(images == 1)
    assert where[:, 0].tolist() == list(range(2000))
    assert set(map(tuple, where[:, 1:])) == {(i, j) for i in (3, 4, 5) for j in (3, 4, 5)}
    stayed = np.mean(np.all(where[:, 1:] == 4, axis=1))
    assert abs(stayed - (0.5 + 0.5 / 9)) < 0.05


def test_jitter_adds_noise_and_keeps_its_input():
    x = np.full((1000, 64), 0.5, np.float32)
    noisy = jitter(x, np.random.default_rng(0))
    assert noisy.dtype == np.float32
    inner = noisy.reshape(1000, 8, 8)[:, 1:-1, 1:-1]
    assert abs(inner.std() - train_plan.NOISE) < 0.01
    assert np.all(x == 0.5)


def test_last_quarter_is_cooled():
    assert [Plan(epochs=n).cooling_epoch for n in (1, 3, 4, 30)] == [1, 3, 3, 23]
