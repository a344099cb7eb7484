"""How long does a training step of a small model take: forward, loss, backward, and a step of SGD with momentum?

    MLP          784-512-512-10, batches of 64 and 256
    CNN          1-16-32 channels, 3x3, pooled by 2, on 28x28, batch 64
    LSTM         128 units, 64 steps, batch 32
    transformer  2 layers, d=128, 4 heads, 64 positions, batch 16

"captured" is the same step by `nb.compile`, against the same eager torch; by --against torch.compile or --against jax (the MLPs)
against the same step compiled there.

Both sides start from the same parameters, made by NumPy, and take the same batches: the first loss must be the same number
on both, and losses must fall.
"""

import math
import time

import common
import jax_steps
import numpy as np
from sides import Absent

LR, MOMENTUM = 0.01, 0.9


def mlp(lib):
    nn = lib.nn
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def cnn(lib):
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    )


def lstm(lib):
    nn = lib.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(128, 128, batch_first=True)
            self.head = nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return Model()


def transformer(lib):
    nn = lib.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(128, 4, 256, 0.0, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)
            self.head = nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.encoder(x).mean(1))

    return Model()


MODELS = {  # name: (model, shape of a batch)
    "MLP, batch 64": (mlp, (64, 784)),
    "MLP, batch 256": (mlp, (256, 784)),
    "CNN, batch 64": (cnn, (64, 1, 28, 28)),
    "LSTM, batch 32": (lstm, (32, 64, 128)),
    "transformer, batch 16": (transformer, (16, 64, 128)),
}


def start_of(shapes):
    """Parameters that do not depend on the framework: uniform, scaled by the length of rows."""
    rng = np.random.default_rng(0)
    state = {}
    for name, shape in sorted(shapes.items()):
        if "norm" in name:
            values = np.full(shape, 1.0 if name.endswith("weight") else 0.0)
        else:
            values = rng.uniform(-1, 1, shape) / math.sqrt(math.prod(shape[1:]) or 1)
        state[name] = values.astype(np.float32)
    return state


def model_of(lib, name):
    """A model with parameters that do not depend on the framework."""
    model = MODELS[name][0](lib)
    start = start_of({key: tuple(p.shape) for key, p in model.state_dict().items()})
    model.load_state_dict({key: lib.tensor(values) for key, values in start.items()})
    return model


def step_of(lib, name, captured):
    """`train(x, labels)`, a training step of a model; captured where there is such a thing."""
    model = model_of(lib, name)
    optimizer = lib.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    loss_of = lib.functional.cross_entropy

    def train(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return lib.captured(train) if captured else train


def by_jax(lib, name):
    """The same, by jax.jit."""
    if not name.startswith("MLP"):
        raise Absent("only the MLPs are written for it")
    sizes = {"0": (512, 784), "2": (512, 512), "4": (10, 512)}
    shapes = {f"{layer}.weight": shape for layer, shape in sizes.items()}
    shapes |= {f"{layer}.bias": shape[:1] for layer, shape in sizes.items()}
    return jax_steps.mlp(lib.package, start_of(shapes), LR, MOMENTUM)


def steps(name, captured=False):
    """Setup of a figure: training steps of one model; captured by `nb.compile` where there is such a thing."""
    shape = MODELS[name][1]

    def setup(lib):
        if lib.framework not in ("nbgrad", "torch") and not captured:
            raise Absent("it is captured steps that are compared with it")
        is_jax = lib.framework == "jax"
        train = by_jax(lib, name) if is_jax else step_of(lib, name, captured)
        tensor = lib.numpy.asarray if is_jax else lib.tensor
        rng = np.random.default_rng(1)
        batches = [tensor(rng.standard_normal(shape).astype(np.float32)) for _ in range(4)]
        labels = [tensor(rng.integers(0, 10, shape[0])) for _ in range(4)]
        losses = []

        def step():
            k = len(losses) % 4
            begin = time.perf_counter_ns()
            loss = train(batches[k], labels[k])
            took = time.perf_counter_ns() - begin
            losses.append(loss.item())
            return took

        for _ in range(8):  # of the same four batches, so the second losses are lower
            step()
        if getattr(train, "reason", None) is not None:
            raise AssertionError(f"{name} was not captured: {train.reason}")
        if not sum(losses[4:8]) < sum(losses[:4]):
            raise AssertionError(f"{name}: losses do not fall: {losses}")
        if abs(losses[0] - FIRST_LOSSES[name]) > 1e-3:
            raise AssertionError(f"{name}: first loss {losses[0]}, expected {FIRST_LOSSES[name]}")

        def block(count):
            return [step() for _ in range(count)]

        return block

    return setup


# What all frameworks give for the parameters and the batch of seed 0 and 1.
FIRST_LOSSES = dict(zip(MODELS, (2.60608, 2.54010, 2.73179, 2.52665, 2.54538), strict=True))

FIGURES = [
    common.Figure(f"{name}, eager", steps(name), unit="ms", count=2, rounds=40, quick=4, warm=1)
    for name in MODELS
] + [
    common.Figure(
        f"{name}, captured",
        steps(name, captured=True),
        unit="ms",
        count=2,
        rounds=40,
        quick=4,
        warm=1,
    )
    for name in MODELS
]

if __name__ == "__main__":
    common.main(__file__, __doc__, FIGURES, common.simple_side(FIGURES))
