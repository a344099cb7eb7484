"""Write docs/ops.md: every operation and what it supports, found out by running it.

python tools/ops_table.py            # writes the file
python tools/ops_table.py --check    # exit status 1 if the file is not what would be written

The operations are those of the samples in tests/ops, which the checks of derivatives run, too.  An operation supports what
one of its samples could do; nothing in the table is declared.
"""

import inspect
import sys
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import nbgrad as nb  # noqa: E402
import nbgrad.nn.functional as F  # noqa: E402, N812
from nbgrad.autograd.op import registry  # noqa: E402
from nbgrad.errors import GraphError  # noqa: E402
from tests.ops.samples import Make, samples  # noqa: E402

FILE = ROOT / "docs" / "ops.md"
SEEDS = range(1, 3)
MORE_SEEDS = range(1, 17)  # where only some shapes are asked about
FLOATS, WHOLE = ("float32", "float64"), ("int64", "bool")
SPACES = {"nb": nb, "F": F, "linalg": nb.linalg, "Tensor": nb.Tensor}
HEAD = """\
# Operations

Written by `tools/ops_table.py`, which runs each operation; do not edit.

- *where*: `nb.NAME`, `nb.nn.functional.NAME` (F), `nb.linalg.NAME`, `x.NAME()` (Tensor), `x.NAME_()` (in place).
- *gradients*: the floating-point dtypes in which it gives a result and a gradient of the same dtype.
- *constants*: other dtypes that it takes; results may be of another dtype.
- *twice*: whether gradients have gradients (`create_graph=True`).
- *sparse*: whether it takes a sparse matrix as its first argument.
- *capture*: whether `nb.compile` replays a step of it, backward included, on other values, with the numbers of eager calls; other
  operations run eagerly in compiled steps, and the step says why.

Complex numbers are refused by `nb.tensor` and by conversions.
"""


def outputs(y):
    return [part for part in (y if isinstance(y, tuple | list) else [y]) if part is not None]


def gives_gradients(function, arrays):
    """Whether results and gradients come, all in the dtype of the arguments."""
    leaves = [nb.Tensor(x, True) for x in arrays]
    found = [y for y in outputs(function(*leaves)) if y.requires_grad]
    nb.autograd.backward(found, [nb.ones_like(y) for y in found])
    return bool(found) and all(
        x.dtype == arrays[0].dtype for x in (*found, *[leaf.grad for leaf in leaves if leaf.grad is not None])
    )  # fmt: skip


def runs(function, arrays):
    """Whether a result comes."""
    function(*[nb.Tensor(x) for x in arrays])
    return True


def takes_sparse(function, arrays):
    """Whether a sparse first argument gives what the dense one gives."""
    if arrays[0].ndim != 2 or 0 in arrays[0].shape:
        return False
    first, *others = [nb.Tensor(np.ascontiguousarray(x)) for x in arrays]
    dense = function(first, *others)
    y = function(first.to_sparse(), *others)
    whole = y.to_dense() if y.is_sparse else y
    return np.allclose(whole.array, dense.array)


def has_second(function, arrays):
    """Whether gradients have gradients; where the gradient is a constant there is nothing to refuse."""
    leaves = [nb.Tensor(x, True) for x in arrays]
    found = [y for y in outputs(function(*leaves)) if y.requires_grad]
    seeds = [nb.ones_like(y).requires_grad_() for y in found]
    grads = nb.autograd.grad(found, leaves, seeds, create_graph=True, materialize_grads=True)
    live = [g for g in grads if g.requires_grad]
    try:
        nb.autograd.grad(
            live, [*leaves, *seeds], [nb.ones_like(g) for g in live], allow_unused=True
        )
    except GraphError:
        return False
    return True


def is_captured(function, arrays):
    """Whether a compiled step of it is replayed, and gives what the step gives, values and gradients."""

    def all_of(step, leaves):
        found = []
        for scale in (1.0, 0.9375):  # other values, in the same domain
            for leaf, x in zip(leaves, arrays, strict=True):
                leaf.grad = None
                leaf.array[...] = x * scale
            nb.manual_seed(0)
            found += [y.array for y in step()]
            found += [None if leaf.grad is None else leaf.grad.array for leaf in leaves]
        return found

    def step_over(leaves):
        def step():
            found = [y for y in outputs(function(*leaves)) if y.requires_grad]
            nb.autograd.backward(found, [nb.ones_like(y) for y in found])
            return [y.detach() for y in found]

        return step

    function(*[nb.Tensor(x) for x in arrays])  # makes what it keeps: labels, weights
    both = [[nb.Tensor(np.array(x), True) for x in arrays] for _ in range(2)]
    compiled = nb.compile(step_over(both[0]))
    found, wanted = all_of(compiled, both[0]), all_of(step_over(both[1]), both[1])
    return compiled.statistics().replays == 1 and all(map(same, found, wanted))


def same(x, y):
    """Whether two arrays are equal, bit for bit but for NaN."""
    if x is None or y is None:
        return x is y
    return x.dtype == y.dtype and np.array_equal(x, y, equal_nan=True)


def holds(question, name, convert=lambda x: x, seeds=SEEDS):
    """Whether the answer is yes for a sample of a function; an error is a no."""
    for key, make in samples.items():
        if key.split()[0] != name:
            continue
        for seed in seeds:
            function, *arrays = make(Make(seed))
            try:
                if question(function, [convert(x) for x in arrays]):
                    return True
            except Exception:  # whatever it is: this is no support
                continue
    return False


def places(name):
    found = [space for space, room in SPACES.items() if name in getattr(room, "__all__", dir(room))]
    return ", ".join(found + ["in place"] * hasattr(nb.Tensor, f"{name}_"))


def row(name):
    gradients = [kind for kind in FLOATS if holds(gives_gradients, name, lambda x, k=kind: np.asarray(x, k))]  # fmt: skip
    constants = [kind for kind in WHOLE if holds(runs, name, lambda x, k=kind: np.asarray(np.abs(x * 3) // 1, k))]  # fmt: skip
    marks = [
        "yes" if found else ""
        for found in (
            holds(has_second, name),
            holds(takes_sparse, name, seeds=MORE_SEEDS),
            holds(is_captured, name),
        )
    ]
    return f"| {' | '.join([f'`{name}`', places(name), ', '.join(gradients), ', '.join(constants), *marks])} |"


def constants():
    """Public operations whose results never carry gradients."""
    return sorted(name for name, op in registry.items() if op.constant and hasattr(nb, name))


def others():
    """Public functions that neither are differentiable nor take tensors apart: those that make or describe them."""
    known = {key.split()[0] for key in samples} | set(constants())
    twins = {id(getattr(room, name, None)) for room in SPACES.values() for name in known}
    return sorted(
        name for name in vars(nb.ops)
        if getattr(nb, name, None) is vars(nb.ops)[name] and inspect.isfunction(vars(nb.ops)[name])
        and name not in known and id(vars(nb.ops)[name]) not in twins
    )  # fmt: skip


def table():
    """The text of the file."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        state = nb.get_rng_state()
        names = sorted({key.split()[0] for key in samples})
        names = [name for name in names if places(name)]  # without x[i] and operators with a number
        lines = [HEAD, f"## Differentiable: {len(names)}\n",
                 "| name | where | gradients | constants | twice | sparse | capture |",
                 "|---|---|---|---|---|---|---|"]  # fmt: skip
        lines += [row(name) for name in names]
        nb.set_rng_state(state)
    lines += ["\n## Without gradients\n", ", ".join(f"`{name}`" for name in constants()) + "."]
    lines += ["\n## What makes or describes tensors\n", ", ".join(f"`{name}`" for name in others()) + "."]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(arguments):
    text = table()
    if "--check" in arguments:
        if not FILE.exists() or FILE.read_text() != text:
            print(f"{FILE.relative_to(ROOT)} is not current: run python tools/ops_table.py")
            return 1
        return 0
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
