"""Profiling: what all workers did, on one clock."""

from nbgrad.profile.events import Event, Profile, profile

__all__ = ["Event", "Profile", "profile"]
