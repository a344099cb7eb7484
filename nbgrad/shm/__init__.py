"""Shared memory: words, rings, doorbells, arenas.  Knows bytes and words, not tensors."""
