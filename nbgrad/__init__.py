"""nbgrad: one distributed backward pass over the processes of one machine."""

__version__ = "0.1.0"

import sys as _sys

from numpy import dtype, e, finfo, iinfo, inf, nan, pi

# ---------------------------------------------------------------- the rooms
from nbgrad import (
    autograd,
    capture,
    checkpoint,
    cuda,
    dist_autograd,
    distributed,
    distributions,
    errors,
    futures,
    linalg,
    multiprocessing,
    nn,
    ops,
    optim,
    parallel,
    profile,
    profiler,
    rpc,
    utils,
)

# ---------------------------------------------------------------- tensors and the tape
from nbgrad.autograd import (
    Parameter,
    Size,
    Tensor,
    custom_vjp,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from nbgrad.autograd.device import device
from nbgrad.autograd.dtypes import bool_ as bool
from nbgrad.autograd.dtypes import (
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from nbgrad.autograd.dtypes import float32 as float
from nbgrad.autograd.dtypes import float64 as double
from nbgrad.autograd.dtypes import int32 as int
from nbgrad.autograd.dtypes import int64 as long
from nbgrad.autograd.printing import set_printoptions
from nbgrad.autograd.reuse import release as release_buffers
from nbgrad.autograd.reuse import statistics as buffer_statistics
from nbgrad.capture import compile
from nbgrad.checkpoint import load, save

# ---------------------------------------------------------------- operations
# fmt: off
# isort: off
from nbgrad.ops import (
    BoolTensor, ByteTensor, CharTensor, DoubleTensor, FloatTensor, Generator, IntTensor, LongTensor,
    ShortTensor, abs, acos, acosh, add, addbmm, addcdiv, addcmul, addmm, addmv, addr, all, allclose,
    amax, amin, any, arange, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, argmax,
    argmin, argsort, argwhere, as_tensor, asin, asinh, atan, atan2, atanh, baddbmm, bernoulli,
    bincount, bmm, broadcast_tensors, broadcast_to, cat, cdist, ceil, cholesky, chunk, clamp, clone,
    concat, concatenate, conv1d, conv2d, conv_transpose1d, conv_transpose2d, cos, cosh,
    cosine_similarity, count_nonzero, cummax, cummin, cumprod, cumsum, det, detach, diag,
    diag_embed, diagonal, diff, digamma, div, dot, dstack, einsum, empty, empty_like, eq, equal,
    erf, erfc, exp, exp2, expand, expm1, eye, flatten, flip, fliplr, flipud, floor, floor_divide,
    fmod, from_numpy, full, full_like, gather, ge, ger, get_num_threads, get_rng_state, gt, hstack,
    hypot, index_add, index_copy, index_fill, index_put, index_select, initial_seed, inner, inverse,
    is_floating_point, is_tensor, isclose, isfinite, isin, isinf, isnan, kron, kthvalue, le, lerp,
    lgamma, linspace, log, log10, log1p, log2, log_softmax, logaddexp, logcumsumexp, logdet,
    logical_and, logical_not, logical_or, logical_xor, logit, logsumexp, lt, manual_seed,
    masked_fill, masked_scatter, masked_select, matmul, matrix_power, max, maximum, mean, median,
    meshgrid, min, minimum, mm, movedim, mul, mv, nanmean, nansum, narrow, ne, neg, nonzero, norm,
    normal, numel, ones, ones_like, outer, pairwise_distance, permute, polygamma, pow, prod, qr,
    rand, rand_like, randint, randn, randn_like, randperm, ravel, reciprocal, relu, remainder,
    repeat_interleave, reshape, roll, rot90, round, rsqrt, scatter, scatter_add, searchsorted,
    select, set_num_threads, set_rng_state, sigmoid, sign, sin, sinc, sinh, slogdet, softmax, sort,
    sparse, sparse_coo_tensor, split, sqrt, square, squeeze, stack, std, std_mean, sub, sum,
    swapaxes, swapdims, t, take_along_dim, tan, tanh, tensor, tensor_split, tensordot, tile, topk,
    trace, transpose, tril, triu, trunc, unbind, unflatten, unique, unsqueeze, var, var_mean,
    vstack, where, xlogy, zeros, zeros_like,
)
# isort: on
# fmt: on
from nbgrad.shm.summary import memory_summary

# `import nbgrad.autograd.profiler`: PyTorch's name for a room that stands above autograd
autograd.profiler = profiler  # type: ignore[attr-defined]
_sys.modules["nbgrad.autograd.profiler"] = profiler
autograd.profiler_legacy = profile.legacy  # type: ignore[attr-defined]
_sys.modules["nbgrad.autograd.profiler_legacy"] = profile.legacy
# `import nbgrad.autograd.functional`, likewise
autograd.functional = ops.derivatives  # type: ignore[attr-defined]
_sys.modules["nbgrad.autograd.functional"] = ops.derivatives
# `nbgrad.nn.parallel.DistributedDataParallel`: the same for a room that stands above nn
nn.parallel = parallel  # type: ignore[attr-defined]
_sys.modules["nbgrad.nn.parallel"] = parallel
