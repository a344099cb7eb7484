"""Profiling: what all workers did, on one clock; the names of `torch.autograd.profiler`."""

from nbgrad.profile import legacy
from nbgrad.profile.averages import Average, Averages
from nbgrad.profile.events import Event
from nbgrad.profile.profiler import Profile, ProfilerActivity, profile, record_function

__all__ = [
    "Average",
    "Averages",
    "Event",
    "Profile",
    "ProfilerActivity",
    "legacy",
    "profile",
    "record_function",
]
