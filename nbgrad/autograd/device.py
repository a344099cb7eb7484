"""The one device there is: the CPU, under the name that PyTorch programs use for it."""

from typing import Any

from nbgrad.errors import NbgradError


class device:  # noqa: N801  (PyTorch's name)
    """The CPU.

    Raises
    ------
    NbgradError
        If another device is named.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.device("cpu")
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    def __init__(self, type: Any, index: int | None = None) -> None:  # noqa: A002
        name = str(getattr(type, "type", type))
        kind, _, number = name.partition(":")
        if kind != "cpu":
            raise NbgradError(
                f"device {name!r} does not exist here: nbgrad computes on the CPU only, "
                f'so pass device="cpu" or leave it out'
            )
        self.type = kind
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return f"device(type={self.type!r})"

    def __str__(self) -> str:
        return self.type

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or (isinstance(other, str) and other.startswith("cpu"))

    def __hash__(self) -> int:
        return hash("cpu")


def check_device(wanted: Any) -> None:
    """Refuse any device but the CPU; None is fine."""
    if wanted is not None and wanted != "cpu" and not isinstance(wanted, device):
        device(wanted)
