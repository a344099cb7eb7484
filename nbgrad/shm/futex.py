"""Futex: sleep on a shared 32-bit word and be woken, straight from native code (Linux).

Never with FUTEX_PRIVATE_FLAG: the words are shared between processes.  Every sleep is a slice with a time-out; nothing
here spins without bound.
"""

import platform

from nbgrad.jit import kernel
from nbgrad.jit.primitive import external, peek32, poke, scratch

FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 202)
WAIT, WAKE = 0, 1
EINTR, EAGAIN, ETIMEDOUT = 4, 11, 110
ALL = 1 << 30

syscall = external("syscall", 7)
errno_location = external("__errno_location", 0)


@kernel("nnn=n", nogil=True)
def wait(address, expected, timeout_ns):
    """Sleep while the word at `address` is `expected`: 0 woken, or the errno (EAGAIN, EINTR, ETIMEDOUT)."""
    spec = scratch()
    poke(spec, timeout_ns // 1_000_000_000)
    poke(spec + 8, timeout_ns % 1_000_000_000)
    if syscall(FUTEX, address, WAIT, expected, spec, 0, 0) == 0:
        return 0
    return peek32(errno_location())


@kernel("nn=n")
def wake(address, count):
    """Wake up to `count` sleepers on the word; how many."""
    return syscall(FUTEX, address, WAKE, count, 0, 0, 0)
