"""Training one model by several workers of a machine."""

from nbgrad.parallel.shared_parameters import SharedParameters, StepStatistics

__all__ = ["SharedParameters", "StepStatistics"]
