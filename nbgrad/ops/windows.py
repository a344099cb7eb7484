"""Sliding windows over images: sizes of results, and the arguments that may be one number or two."""

from typing import Any

from nbgrad.errors import ShapeError


def pair(value: Any) -> tuple[int, int]:
    """3 -> (3, 3)."""
    if isinstance(value, tuple | list):
        if len(value) == 1:
            return int(value[0]), int(value[0])
        height, width = value
        return int(height), int(width)
    return int(value), int(value)


def out_length(
    name: str,
    n: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """How many windows fit along one dimension; with `ceil_mode` also one that starts inside and ends outside.

    Raises
    ------
    ShapeError
        If none does.
    """
    reach = dilation * (kernel - 1) + 1
    if stride < 1:
        raise ShapeError(f"{name}: stride must be positive, got {stride}")
    length = (n + 2 * padding - reach) // stride + 1
    if ceil_mode and (n + 2 * padding - reach) % stride and length * stride < n + padding:
        length += 1
    if length < 1:
        raise ShapeError(
            f"{name}: kernel size can't be greater than actual input size: a window of {reach} does not fit into "
            f"{n} + 2 x {padding} (padding) elements"
        )
    return length


def check_images(name: str, shape: tuple) -> None:
    """Refuse what is not (channels, height, width) or a batch of it."""
    if len(shape) not in (3, 4):
        raise ShapeError(
            f"{name}: expected 3D (channels, height, width) or 4D (batch, channels, height, width) input, got {shape}"
        )
