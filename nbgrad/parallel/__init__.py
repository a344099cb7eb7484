"""Training one model by several workers of a machine."""

from nbgrad.parallel.distributed_data_parallel import DistributedDataParallel
from nbgrad.parallel.hogwild import Hogwild, HogwildStatistics
from nbgrad.parallel.parameter_server import ParameterServer, Trainer
from nbgrad.parallel.pipeline import Pipeline, PipelineStatistics
from nbgrad.parallel.placement import Placement, place, planned
from nbgrad.parallel.shared_parameters import SharedParameters, StepStatistics

__all__ = [
    "DistributedDataParallel",
    "Hogwild",
    "HogwildStatistics",
    "ParameterServer",
    "Pipeline",
    "PipelineStatistics",
    "Placement",
    "SharedParameters",
    "StepStatistics",
    "Trainer",
    "place",
    "planned",
]
