"""Characters: bits of a model that knows nothing, what it writes, and windows that show what follows."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad import nn
from nbgrad.cli.train_chars import WINDOW, CharsTask, sample
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_stages import whole


@pytest.fixture
def task(tmp_path):
    """Of a text of three characters."""
    (tmp_path / "a.txt").write_text("ab\n" * 1000)
    return CharsTask(Plan(task="chars", data=str(tmp_path / "a.txt"), seed=1))


def indifferent(task):
    """A model that takes all characters for equally likely."""
    model = whole(task, 0)
    for p in list(model.parameters())[-2:]:
        nn.init.zeros_(p)
    return model


def test_figures_and_sample_of_an_untrained_model(task):
    model = indifferent(task)
    found = task.report(model)
    assert found["test_bits"] == pytest.approx(np.log2(3), abs=1e-5)
    assert found["bigram_bits"] < 0.01 < found["unigram_bits"]
    assert len(found["sample"]) == 500
    assert set(found["sample"]) == set("\nab")
    assert sample(model, task.text, 30, seed=1) == found["sample"][:30]


def test_windows_show_what_follows(task):
    rows = np.arange(task.n_samples)
    for seed in range(3):
        x, y = task.batch(rows, np.random.default_rng(seed))
        assert x.shape == y.shape == (task.n_samples, WINDOW)
        assert np.array_equal(x[:, 1:], y[:, :-1])
        assert all(task.text.spell(row)[:3] in ("ab\n", "b\na", "\nab") for row in y)


def test_it_looks_back_only(task):
    model = whole(task, 3)
    x = nb.from_numpy(task.batch(np.arange(1), np.random.default_rng(0))[0])
    other = x.clone()
    other[0, -1] = (other[0, -1] + 1) % 3
    with nb.no_grad():
        a, b = model(x).numpy(), model(other).numpy()
    assert np.array_equal(a[0, :-1], b[0, :-1])
    assert not np.array_equal(a[0, -1], b[0, -1])


def test_rates_warm_up_and_fall(task):
    assert task.factor(0, 0.0) == pytest.approx(1 / 50)
    assert task.factor(49, 0.0) == 1.0
    assert task.factor(1000, 1.0) == pytest.approx(0.03)
