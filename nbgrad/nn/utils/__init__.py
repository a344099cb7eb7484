"""Tools around parameters: clipping gradients, parameters as one vector."""

from nbgrad.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_
from nbgrad.nn.utils.convert import parameters_to_vector, vector_to_parameters
