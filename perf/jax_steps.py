"""Captured steps as one writes them for jax.jit: functions of everything that a step reads and changes."""

import numpy as np


def chain(jax, size, operations):
    """`y = y * w` and `y = y + b` in turn; a function without arguments that waits for the gradients of x, w and b."""
    ones = [jax.numpy.ones(size, np.float32) for _ in range(3)]

    def loss(x, w, b):
        y = x
        for _ in range(operations // 2):
            y = y * w
            y = y + b
        return y.sum()

    gradients = jax.jit(jax.grad(loss, (0, 1, 2)))
    return lambda: jax.block_until_ready(gradients(*ones))


def mlp(jax, state, lr, momentum):
    """A training step `train(x, labels)` that returns the loss: linear layers with relu between, SGD with momentum.

    `state` maps names of parameters, as in torch.nn.Sequential, to arrays.
    """
    names = sorted(state, key=lambda name: int(name.split(".")[0]))
    layers = sorted({name.split(".")[0] for name in names}, key=int)
    values = {name: jax.numpy.asarray(x) for name, x in state.items()}
    kept = [values, {name: jax.numpy.zeros_like(x) for name, x in values.items()}]

    def loss_of(values, x, labels):
        for layer in layers:
            x = x @ values[f"{layer}.weight"].T + values[f"{layer}.bias"]
            if layer != layers[-1]:
                x = jax.nn.relu(x)
        logp = jax.nn.log_softmax(x)
        return -jax.numpy.take_along_axis(logp, labels[:, None], 1).mean()

    def update(values, buffers, x, labels):
        loss, grads = jax.value_and_grad(loss_of)(values, x, labels)
        buffers = {name: momentum * b + grads[name] for name, b in buffers.items()}
        return {name: p - lr * buffers[name] for name, p in values.items()}, buffers, loss

    compiled = jax.jit(update, donate_argnums=(0, 1))  # buffers are written in place, as ours

    def train(x, labels):
        *kept[:], loss = compiled(*kept, x, labels)
        jax.block_until_ready(kept)
        return loss

    return train


def fused(jax, name, x, second, g):
    """Forward and backward of an operation of fused.py: a function without arguments that waits for (result, gradient of x)."""
    numpy = jax.numpy

    def layer_norm(x, b):
        d = x - x.mean(1, keepdims=True)
        return d / numpy.sqrt((d * d).mean(1, keepdims=True) + 1e-5) * numpy.ones_like(b) + b

    def cross_entropy(x, labels):
        return -numpy.take_along_axis(jax.nn.log_softmax(x), labels[:, None], 1).mean()

    function = {
        "gelu": lambda x, b: jax.nn.gelu(x, approximate=False),
        "layer norm": layer_norm,
        "softmax cross-entropy": cross_entropy,
        "bias and relu": lambda x, b: jax.nn.relu(x + b),
    }[name]

    def both(x, second, g):
        y, pull = jax.vjp(function, x, second)
        return y, pull(g)

    def loss_and_gradient(x, second, g):
        return jax.value_and_grad(function)(x, second)

    has_labels = name == "softmax cross-entropy"
    compiled = jax.jit(loss_and_gradient if has_labels else both)
    x, second, g = (numpy.asarray(value) for value in (x, second, g))

    def run():
        _, gradients = jax.block_until_ready(compiled(x, second, g))
        return gradients if has_labels else gradients[0]

    return run
