"""How tensors look in print: four digits, aligned, long ones cut in the middle.

The same text as PyTorch prints for the same values.
"""

import math
from typing import Any

import numpy as np


class Options:
    """What `set_printoptions` sets."""

    precision = 4
    threshold = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is None stays as it is.

    Parameters
    ----------
    precision : int
        Digits after the point, 4 at first.
    threshold : int
        Number of elements above which the middle is left out, 1000 at first.
    edgeitems : int
        Elements shown at each end of a dimension that is cut, 3 at first.
    linewidth : int
        Characters per line, 80 at first.
    profile : {"default", "short", "full"}
        A set of these values.
    sci_mode : bool
        Always or never use scientific notation; by default the values decide.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.set_printoptions(precision=2)
    >>> nb.tensor([1.2345])
    tensor([1.23])
    >>> nb.set_printoptions(profile="default")
    """
    chosen: dict[str, Any] = dict(PROFILES[profile]) if profile is not None else {}
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    chosen.update({name: value for name, value in given.items() if value is not None})
    for name, value in chosen.items():
        setattr(Options, name, value)
    Options.sci_mode = sci_mode


def shown(array: np.ndarray) -> np.ndarray:
    """The elements that will be printed, flat: formats are chosen from these."""
    if array.size <= Options.threshold:
        return array.reshape(-1)
    n = Options.edgeitems
    for axis, length in enumerate(array.shape):
        if length > 2 * n:
            array = np.take(array, [*range(n), *range(length - n, length)], axis)
    return array.reshape(-1)


def float_format(values: np.ndarray) -> Any:
    """A function from one float to its text, all texts equally wide."""
    finite = np.abs(values[np.isfinite(values) & (values != 0)].astype(np.float64))
    digits = Options.precision
    whole = bool(np.all(finite == np.ceil(finite)))
    if Options.sci_mode is not None:
        scientific = Options.sci_mode
    elif finite.size == 0:
        scientific = False
    else:
        low, high = finite.min(), finite.max()
        scientific = bool(high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole))

    def text(value: float) -> str:
        if not math.isfinite(value):
            return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
        if scientific:
            return f"{value:.{digits}e}"
        return f"{value:.0f}." if whole else f"{value:.{digits}f}"

    ordinary = values[np.isfinite(values) & (values != 0)]
    width = max((len(text(float(value))) for value in ordinary), default=0)
    return lambda value: text(float(value)).rjust(width)


def format_tensor(array: np.ndarray, suffixes: list[str]) -> str:
    """The text of a tensor whose values are `array`, with what follows the values."""
    start = "tensor("
    kind = array.dtype.kind
    if array.size == 0:
        body = "[]" if array.ndim == 1 else f"[], size={array.shape}"
    else:
        values = shown(array)
        if kind == "f":
            text = float_format(values)
        else:
            width = max(len(str(value)) for value in values.tolist())
            text = lambda value: str(value).rjust(width)  # noqa: E731
        body = np.array2string(
            array,
            max_line_width=Options.linewidth,
            separator=", ",
            prefix=start,
            formatter={"all": text},
            threshold=int(min(Options.threshold, 1 << 60)),
            edgeitems=Options.edgeitems,
        ).replace(", ..., ", ",  ..., ")  # PyTorch's two spaces
    out = start + body
    for suffix in suffixes:
        last = len(out) - out.rfind("\n") - 1
        out += ",\n       " if last + len(suffix) + 3 > Options.linewidth else ", "
        out += suffix
    return out + ")"


def format_sparse(array: Any, suffixes: list[str]) -> str:
    """The text of a sparse tensor: `array` has `indices`, `values` and `shape`."""
    n = array.values.shape[0]
    parts = []
    for name, part in (("indices", array.indices), ("values", array.values)):
        text = format_tensor(part, [] if part.size else [f"size={part.shape}"])
        parts.append(f"{name}={text}".replace("\n", "\n" + " " * (len(name) + 8)))
    parts.append(f"size={tuple(array.shape)}, nnz={n}, layout=sparse_coo")
    return "tensor(" + ",\n       ".join(parts) + "".join(f", {s}" for s in suffixes) + ")"
