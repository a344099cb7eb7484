"""How many threads matrix products use: those of the BLAS that NumPy was built with.

nbgrad's own kernels run on one thread; more workers are how it uses more cores.
"""

import ctypes
import warnings
from functools import cache
from typing import Any

PREFIXES = ("scipy_openblas", "openblas")
SUFFIXES = ("64_", "_64", "")


@cache
def blas() -> tuple[Any, Any] | None:
    """(get, set) of the OpenBLAS in this process, None where NumPy uses another one."""
    with open("/proc/self/maps") as maps:
        paths = sorted({line.split()[-1] for line in maps if "openblas" in line})
    for path in paths:
        library = ctypes.CDLL(path)
        for prefix in PREFIXES:
            for suffix in SUFFIXES:
                getter = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                if getter is not None:
                    return getter, getattr(library, f"{prefix}_set_num_threads{suffix}")
    return None


def get_num_threads() -> int:
    """Number of threads that a matrix product may use.

    Examples
    --------
    >>> import nbgrad as nb
    >>> nb.get_num_threads() >= 1
    True
    """
    functions = blas()
    return int(functions[0]()) if functions else 1


def set_num_threads(n: int) -> None:
    """Set the number of threads that a matrix product may use, in this process.

    With several workers on one machine, workers times threads should not exceed its cores.

    Parameters
    ----------
    n : int
        1 or more.

    Raises
    ------
    ValueError
        If it is less.

    Examples
    --------
    >>> import nbgrad as nb
    >>> before = nb.get_num_threads()
    >>> nb.set_num_threads(1)
    >>> nb.get_num_threads()
    1
    >>> nb.set_num_threads(before)
    """
    if n < 1:
        raise ValueError(f"set_num_threads expects a positive integer, got {n}")
    functions = blas()
    if functions is None:
        warnings.warn(
            "set_num_threads does nothing here: NumPy's BLAS is not OpenBLAS; set the environment variable that its "
            "BLAS reads (MKL_NUM_THREADS, say) before starting Python",
            stacklevel=2,
        )
        return
    functions[1](int(n))
