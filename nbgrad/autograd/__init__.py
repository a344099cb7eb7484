"""The tape of one process: tensors, nodes, modes, the local backward pass."""

from nbgrad.autograd.anomaly import detect_anomaly, set_detect_anomaly
from nbgrad.autograd.check import check_double, check_vjp
from nbgrad.autograd.custom import custom_vjp
from nbgrad.autograd.derive import backward, grad
from nbgrad.autograd.function import Function
from nbgrad.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from nbgrad.autograd.gradcheck import gradcheck, gradgradcheck
from nbgrad.autograd.node import Node
from nbgrad.autograd.op import op
from nbgrad.autograd.parameter import Parameter
from nbgrad.autograd.tensor import Size, Tensor
