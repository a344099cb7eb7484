"""`nbgrad train --task chars`: a small transformer learns to write, character by character.

The settings were chosen on parts held out from the text to train on; the held-out text chose nothing.
"""

from typing import Any

import numpy as np

import nbgrad as nb
from nbgrad import nn, optim
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_task import N_BLOCKS, Task
from nbgrad.data.text import Text, ngram_bits, text

WIDTH, HEADS = 128, 4
WINDOW = 64  # characters that are looked back on
LAST_LR = 0.03  # part of the learning rate at the end
WARM_STEPS = 50
N_SAMPLE = 500


class Embed(nn.Module):
    """Characters and their places as vectors."""

    def __init__(self, n_characters: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(n_characters, WIDTH)
        self.places = nn.Embedding(WINDOW, WIDTH)
        for embedding in (self.characters, self.places):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, x):
        """Characters, shape (windows, places), to vectors, shape (windows, places, WIDTH)."""
        return self.characters(x) + self.places(nb.arange(x.shape[1]))


class Layer(nn.Module):
    """A layer of the transformer, which looks back only."""

    def __init__(self) -> None:
        super().__init__()
        options: dict[str, Any] = {"dim_feedforward": 4 * WIDTH, "dropout": 0.0}
        self.layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, activation="gelu", batch_first=True, norm_first=True, **options
        )

    def forward(self, x):
        """Vectors to vectors, shape (windows, places, WIDTH)."""
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.layer(x, src_mask=mask, is_causal=True)


class CharsTask(Task):
    """Windows of a text, and how many bits per character of held-out text the model needs."""

    unit = "windows"
    minutes = 5.0
    lr = 3e-3
    optimizer = optim.AdamW
    options = {"betas": (0.9, 0.99), "weight_decay": 0.01}

    def __init__(self, plan: Plan) -> None:
        self.text, self.seed = text(plan.data), plan.seed
        self.n_samples = (len(self.text.train) - WINDOW - 1) // WINDOW

    def block(self, number: int) -> nn.Module:
        n_characters = len(self.text.alphabet)
        if number == 0:
            return nn.Sequential(Embed(n_characters), Layer())
        if number == N_BLOCKS - 1:
            return nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, n_characters))
        return Layer()

    def batch(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Windows that begin anywhere in their stretch of the text, and what follows each character."""
        starts = rows * WINDOW + rng.integers(0, WINDOW, len(rows))
        windows = self.text.train[starts[:, None] + np.arange(WINDOW + 1)]
        return windows[:, :-1].copy(), windows[:, 1:].copy()

    def loss(self, outputs: nb.Tensor, targets: nb.Tensor) -> nb.Tensor:
        return nn.functional.cross_entropy(
            outputs.reshape(targets.numel(), -1), targets.reshape(-1)
        )

    def factor(self, step: int, part: float) -> float:
        falling = LAST_LR + (1 - LAST_LR) * 0.5 * (1 + np.cos(np.pi * min(1.0, part)))
        return float(min(1.0, (step + 1) / WARM_STEPS) * falling)

    def report(self, model: nn.Module) -> dict[str, Any]:
        return {
            "test_bits": self.bits(model, self.text.held_out),
            "unigram_bits": ngram_bits(self.text, 1),
            "bigram_bits": ngram_bits(self.text, 2),
            "trigram_bits": ngram_bits(self.text, 3),
            "sample": sample(model, self.text, N_SAMPLE, self.seed),
        }

    def bits(self, model: nn.Module, numbers: np.ndarray) -> float:
        """Bits per character of a text, cut into windows one behind the other."""
        n = (len(numbers) - 1) // WINDOW
        places = np.arange(n)[:, None] * WINDOW + np.arange(WINDOW + 1)
        total = 0.0
        with nb.no_grad():
            for part in np.array_split(numbers[places], 1 + n // 64):
                x, y = (nb.from_numpy(half.copy()) for half in (part[:, :-1], part[:, 1:]))
                total += self.loss(model(x), y).item() * len(part)
        return total / n / float(np.log(2))


def sample(model: nn.Module, found: Text, n: int, seed: int) -> str:
    """`n` characters that the model writes, after the beginning of the held-out text's first line."""
    rng = np.random.default_rng(seed)
    written = found.held_out[:1].tolist()
    with nb.no_grad():
        for _ in range(n):
            x = nb.from_numpy(np.array([written[-WINDOW:]], np.int64))
            scores = model(x).numpy()[0, -1].astype(float)
            p = np.exp(scores - scores.max())
            written.append(int(rng.choice(len(p), p=p / p.sum())))
    return found.spell(np.array(written[1:]))
