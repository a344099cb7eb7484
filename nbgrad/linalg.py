"""`nbgrad.linalg`: linear algebra under the names of `torch.linalg`."""

from nbgrad.ops.factorize import cholesky, eigh, eigvalsh, svd, svdvals
from nbgrad.ops.least_squares import lstsq, pinv, qr
from nbgrad.ops.linalg import det, inv, matrix_power, multi_dot, slogdet, solve
from nbgrad.ops.matmul import matmul
from nbgrad.ops.matrix_norm import matrix_norm, norm, vector_norm
from nbgrad.ops.rearrange import diagonal

__all__ = [
    "cholesky",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "vector_norm",
]
