"""`nbgrad train --task chars`: a small transformer learns to write, character by character, on all workers at once.

    each worker: its own windows of the text ── backward ── sum of all gradients and of how far the time is ── Adam

All workers hold the same parameters and take the same steps.  The training is as long as the time that was given: the
learning rate falls with it, and since each goes by the mean of the workers' clocks, all stop at the same step.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

import nbgrad as nb
from nbgrad import collectives, multiprocessing, nn, optim
from nbgrad.checkpoint import Checkpoints
from nbgrad.cli.journal import Journal, Tail
from nbgrad.cli.train_loop import JOURNAL
from nbgrad.data.text import Text, ngram_bits, text

WIDTH, HEADS, LAYERS = 128, 4, 3
WINDOW = 64  # characters that are looked back on
LR, LAST_LR, CLIP = 3e-3, 0.03, 1.0  # LAST_LR: part of LR at the end
WARM_STEPS = 50
POLL_S = 0.1  # how often the launcher looks at the journal
TOLD_S = 1.0  # how often the journal is written
SAVED_STEPS = 100
N_SAMPLE = 500


@dataclass(frozen=True)
class CharsPlan:
    """Settings of a run."""

    workers: int = 2
    minutes: float = 5.0
    batch_size: int = 32  # windows per worker
    seed: int = 0
    checkpoint_dir: str | None = None
    resume: bool = False


class CharModel(nn.Module):
    """Scores of the next character at each place of windows of characters."""

    def __init__(self, n_characters: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(n_characters, WIDTH)
        self.places = nn.Embedding(WINDOW, WIDTH)
        layer: dict[str, Any] = {"dim_feedforward": 4 * WIDTH, "dropout": 0.0, "activation": "gelu"}
        self.layers = nn.ModuleList(
            [
                nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True, norm_first=True, **layer)
                for _ in range(LAYERS)
            ]
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.scores = nn.Linear(WIDTH, n_characters)
        for embedding in (self.characters, self.places):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, x):
        """Characters, shape (windows, places), to scores, shape (windows, places, characters)."""
        n = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n)
        y = self.characters(x) + self.places(nb.arange(n))
        for layer in self.layers:
            y = layer(y, src_mask=mask, is_causal=True)
        return self.scores(self.norm(y))


def loss_of(model: CharModel, windows: np.ndarray) -> nb.Tensor:
    """Mean nats per character; windows have one character more than the model looks at."""
    x, y = nb.from_numpy(windows[:, :-1].copy()), nb.from_numpy(windows[:, 1:].copy())
    return nn.functional.cross_entropy(model(x).reshape(y.numel(), -1), y.reshape(-1))


def bits(model: CharModel, numbers: np.ndarray) -> float:
    """Bits per character of a text, cut into windows one behind the other."""
    n = (len(numbers) - 1) // WINDOW
    places = np.arange(n)[:, None] * WINDOW + np.arange(WINDOW + 1)
    with nb.no_grad():
        losses = [
            loss_of(model, numbers[part]).item() * len(part)
            for part in np.array_split(places, 1 + n // 64)
        ]
    return float(np.sum(losses) / n / np.log(2))


def sample(model: CharModel, found: Text, n: int, seed: int) -> str:
    """`n` characters that the model writes."""
    rng = np.random.default_rng(seed)
    written = [found.alphabet.index("\n")]
    with nb.no_grad():
        for _ in range(n):
            x = nb.from_numpy(np.array([written[-WINDOW:]], np.int64))
            scores = model(x).numpy()[0, -1].astype(float)
            p = np.exp(scores - scores.max())
            written.append(int(rng.choice(len(p), p=p / p.sum())))
    return found.spell(np.array(written[1:]))


class Trainer:
    """One worker's part."""

    def __init__(self, rank: int, plan: CharsPlan) -> None:
        self.rank, self.plan, self.text = rank, plan, text()
        nb.manual_seed(plan.seed)  # the same parameters on all workers
        self.model = CharModel(len(self.text.alphabet))
        self.parameters = list(self.model.parameters())
        self.optimizer = optim.AdamW(self.parameters, lr=LR, betas=(0.9, 0.99), weight_decay=0.01)
        nb.manual_seed(plan.seed + 1 + rank)  # and other windows
        self.step = 0
        self.before = 0.0  # part of the time that was over when this start began
        self.checkpoints: Any = None
        if plan.checkpoint_dir:
            parts = {"model": self.model, "optimizer": self.optimizer}
            self.checkpoints = Checkpoints(plan.checkpoint_dir, parts, rank, plan.workers)
            if plan.resume:
                self.step = self.checkpoints.resume()
                self.before = self.checkpoints.extra.get("part", 0.0)
            else:
                self.checkpoints.clear()

    def train(self, tell: Any) -> None:
        """Until the time is over; `tell(step, part of the time, bits)` now and then."""
        part, start, told = self.before, time.monotonic(), 0.0
        while part < 1.0:
            loss = loss_of(self.model, self.windows())
            self.optimizer.zero_grad()
            loss.backward()
            elapsed = time.monotonic() - start
            mine = self.before + elapsed / (60 * self.plan.minutes)
            gradient = nb.cat(
                [gradient_of(p) for p in self.parameters] + [nb.tensor([mine, loss.item()])]
            )
            collectives.all_reduce(gradient)
            gradient = gradient / self.plan.workers
            part, mean_loss = gradient[-2:].tolist()
            self.update(gradient, part)
            self.step += 1
            if elapsed - told > TOLD_S:
                told = elapsed
                tell(self.step, part, mean_loss / np.log(2))
            if self.checkpoints and self.step % SAVED_STEPS == 0:
                self.checkpoints.save(self.step, part=part)

    def windows(self) -> np.ndarray:
        """Random pieces of the text."""
        starts = nb.randint(len(self.text.train) - WINDOW, (self.plan.batch_size, 1)).numpy()
        return self.text.train[starts + np.arange(WINDOW + 1)]

    def update(self, gradient: nb.Tensor, part: float) -> None:
        """One step with the mean gradient, at the rate of this part of the time."""
        place = 0
        for p in self.parameters:
            p.grad = gradient[place : place + p.numel()].reshape(p.shape)
            place += p.numel()
        nn.utils.clip_grad_norm_(self.parameters, CLIP)
        falling = LAST_LR + (1 - LAST_LR) * 0.5 * (1 + np.cos(np.pi * min(1.0, part)))
        rate = LR * min(1.0, (self.step + 1) / WARM_STEPS) * falling
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)
        self.optimizer.step()


def gradient_of(p: Any) -> nb.Tensor:
    """A parameter's gradient, flat."""
    return p.grad.reshape(-1)


def follow(plan: CharsPlan, console: Console) -> None:
    """In the launcher: start the workers, show how they get on, and what they have learned."""
    with (
        tempfile.TemporaryDirectory(prefix="nbgrad-train-") as folder,
        Progress(TextColumn("{task.description}"), BarColumn(), console=console) as progress,
    ):
        bar, tail = progress.add_task("starting", total=1.0), Tail(Path(folder, JOURNAL))
        context: Any = multiprocessing.spawn(work, (plan, folder), plan.workers, join=False)
        lines: list = []
        is_over = False
        while not is_over:
            is_over = context.join(timeout=POLL_S)
            lines += tail.read()
            if lines and lines[-1]["kind"] == "step":
                at = lines[-1]
                text = f"step {at['step']}  {at['bits']:.3f} bits per character"
                progress.update(bar, completed=min(1.0, at["part"]), description=text)
    end = lines[-1]
    console.print(f"\n{end['sample']}\n", markup=False, highlight=False)
    console.print(
        f"held-out text: {end['bits']:.3f} bits per character after {end['steps']} steps "
        f"(bigrams {end['bigram']:.2f}, trigrams {end['trigram']:.2f})"
    )


def work(rank: int, plan: CharsPlan, folder: str) -> None:
    """What each worker runs; the first one tells the launcher."""
    collectives.init_process_group(rank=rank, world_size=plan.workers)
    trainer, journal = Trainer(rank, plan), Journal(Path(folder) / JOURNAL)

    def tell(step: int, part: float, now: float) -> None:
        if rank == 0:
            journal.write(kind="step", step=step, part=part, bits=now)

    trainer.train(tell)
    if rank == 0:
        found = trainer.text
        journal.write(
            kind="end",
            steps=trainer.step,
            bits=bits(trainer.model, found.held_out),
            bigram=ngram_bits(found, 2),
            trigram=ngram_bits(found, 3),
            sample=sample(trainer.model, found, N_SAMPLE, plan.seed),
        )
    collectives.destroy_process_group()
