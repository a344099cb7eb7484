import numpy as np
import pytest

from nbgrad.data.text import Text, ngram_bits, text
from nbgrad.errors import ShapeError


def test_the_text_and_its_parts():
    found = text()
    n = len(found.train) + len(found.held_out)
    assert n > 300_000
    assert len(found.held_out) == pytest.approx(n / 10, abs=1)
    assert found.train.max() < len(found.alphabet) < 200
    assert "statement" in found.spell(found.held_out)


def test_ngrams_know_what_they_can():
    turns = Text("abc", np.tile([0, 1, 2], 1000), np.tile([0, 1, 2], 100))
    assert ngram_bits(turns, 1) == pytest.approx(np.log2(3), abs=0.01)
    assert ngram_bits(turns, 2) < 0.01
    assert ngram_bits(turns, 3) < 0.01


def test_a_text_of_the_user(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("äb\n" * 1000, "utf-8")
    found = text(path)
    assert found.alphabet == "\nbä"
    assert found.spell(found.train[:4]) == "äb\nä"
    assert (len(found.train), len(found.held_out)) == (2700, 300)
    path.write_text("short")
    with pytest.raises(ShapeError, match="has 5 characters; at least 2000"):
        text(path)
