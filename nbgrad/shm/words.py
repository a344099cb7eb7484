"""Atomic operations on shared words, as Python calls them (about 40 ns each); kernels use `atomics` itself."""

from nbgrad.jit import kernel
from nbgrad.shm.atomics import cas as _cas
from nbgrad.shm.atomics import exchange as _exchange
from nbgrad.shm.atomics import fetch_add as _fetch_add
from nbgrad.shm.atomics import fetch_or as _fetch_or
from nbgrad.shm.atomics import load as _load
from nbgrad.shm.atomics import store as _store


@kernel("n=n")
def load(address):
    """The word's value."""
    return _load(address)


@kernel("nn")
def store(address, value):
    """Write the word."""
    _store(address, value)


@kernel("nn=n")
def fetch_add(address, value):
    """Add to the word; its old value."""
    return _fetch_add(address, value)


@kernel("nn=n")
def fetch_or(address, value):
    """Set bits of the word; its old value."""
    return _fetch_or(address, value)


@kernel("nn=n")
def exchange(address, value):
    """Replace the word; its old value."""
    return _exchange(address, value)


@kernel("nnn=n")
def cas(address, expected, new):
    """Replace the word if it is `expected`; the value found."""
    return _cas(address, expected, new)
