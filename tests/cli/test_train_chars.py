"""`nbgrad train --task chars`: it trains, prints its figures and a sample, and goes on from a checkpoint's time."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

import nbgrad as nb
from nbgrad.cli import main
from nbgrad.cli.train_chars import WINDOW, CharModel, bits, sample
from nbgrad.data.text import Text


def test_figures_and_sample_of_an_untrained_model():
    nb.manual_seed(0)
    found = Text("\nab", np.tile([1, 2], 100), np.tile([1, 2], WINDOW))
    model = CharModel(3)
    for p in model.scores.parameters():
        nb.nn.init.zeros_(p)
    assert bits(model, found.held_out) == pytest.approx(np.log2(3), abs=1e-5)
    written = sample(model, found, 30, seed=1)
    assert set(written) == set("\nab")
    assert sample(model, found, 30, seed=1) == written


def test_the_command(nothing_left):
    result = CliRunner().invoke(main, ["train", "--task", "chars", "--minutes", "0.02"])
    assert result.exit_code == 0, result.output
    found = re.search(r"text: (\S+) bits per character after (\d+) steps", result.output)
    assert 2.0 < float(found[1]) < 7.0
    assert int(found[2]) > 0
    assert "bigrams" in result.output
    assert len(result.output) > 500


def test_resume_needs_a_folder():
    result = CliRunner().invoke(main, ["train", "--task", "chars", "--resume"])
    assert result.exit_code == 2
    assert "--resume needs --checkpoint-dir" in result.output
