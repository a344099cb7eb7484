"""What programs ask of `torch.cuda` before they choose a device: here there is none."""

from typing import Any

from nbgrad.autograd.device import check_device


def is_available() -> bool:
    """False: nbgrad computes on the CPU.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.device("cuda:0" if nb.cuda.is_available() else "cpu")
    device(type='cpu')
    """
    return False


def device_count() -> int:
    """0."""
    return 0


def is_initialized() -> bool:
    """False."""
    return False


def manual_seed(seed: int) -> None:
    """Nothing, as in PyTorch where there is no GPU; `nb.manual_seed` seeds the CPU's generator."""


def manual_seed_all(seed: int) -> None:
    """Nothing, as `manual_seed`."""


def empty_cache() -> None:
    """Nothing: there is no memory of a GPU."""


def set_device(device: Any) -> None:
    """Refused.

    Raises
    ------
    NbgradError
        Always: there is no GPU.
    """
    check_device("cuda")


def current_device() -> int:
    """Refused, as `set_device`."""
    check_device("cuda")
    return 0


def synchronize(device: Any = None) -> None:
    """Refused, as `set_device`."""
    check_device("cuda")
