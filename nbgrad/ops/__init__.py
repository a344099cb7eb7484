"""Operations on tensors: one file per family, forward, VJP and kernels together."""

from nbgrad.ops import (
    derivatives,  # known as nbgrad.autograd.functional
    methods,  # binds operators and methods to Tensor
    sparse,
    sparse_forms,  # gives operations their sparse forms
)
from nbgrad.ops.activation import relu
from nbgrad.ops.arithmetic import add, div, floor_divide, fmod, mul, remainder, sub
from nbgrad.ops.arrange import (
    broadcast_tensors,
    broadcast_to,
    dstack,
    hstack,
    meshgrid,
    movedim,
    narrow,
    ravel,
    select,
    swapaxes,
    swapdims,
    tensor_split,
    unflatten,
    vstack,
)
from nbgrad.ops.choose import clamp, where
from nbgrad.ops.combine import (
    addbmm,
    addcdiv,
    addcmul,
    addmm,
    addmv,
    addr,
    baddbmm,
    ger,
    inner,
    kron,
    lerp,
    outer,
)
from nbgrad.ops.compare import (
    allclose,
    eq,
    equal,
    ge,
    gt,
    isclose,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
)
from nbgrad.ops.conv import conv1d, conv_transpose1d, conv_transpose2d
from nbgrad.ops.conv2d import conv2d
from nbgrad.ops.counting import (
    argwhere,
    bincount,
    count_nonzero,
    isin,
    nonzero,
    searchsorted,
    unique,
)
from nbgrad.ops.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from nbgrad.ops.distance import cdist, cosine_similarity, pairwise_distance
from nbgrad.ops.einsum import einsum, tensordot
from nbgrad.ops.exponential import (
    exp2,
    expm1,
    log2,
    log10,
    logaddexp,
    logit,
    sinc,
    square,
    xlogy,
)
from nbgrad.ops.extrema import maximum, minimum
from nbgrad.ops.factorize import cholesky
from nbgrad.ops.index import gather, index_select, masked_fill, masked_select
from nbgrad.ops.join import cat, chunk, concat, concatenate, split, stack, unbind
from nbgrad.ops.least_squares import qr
from nbgrad.ops.linalg import det, inverse, logdet, matrix_power, slogdet
from nbgrad.ops.matmul import bmm, dot, matmul, mm, mv
from nbgrad.ops.order import argsort, kthvalue, median, sort, take_along_dim, topk
from nbgrad.ops.peak import amax, amin, argmax, argmin, max, min
from nbgrad.ops.pointwise import (
    abs,
    cos,
    exp,
    log,
    log1p,
    neg,
    reciprocal,
    rsqrt,
    sigmoid,
    sin,
    sqrt,
    tanh,
)
from nbgrad.ops.power import pow
from nbgrad.ops.queries import detach, is_floating_point, is_tensor, numel
from nbgrad.ops.random import (
    Generator,
    bernoulli,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    normal,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    set_rng_state,
)
from nbgrad.ops.rearrange import (
    diag,
    diag_embed,
    diagonal,
    flip,
    fliplr,
    flipud,
    repeat_interleave,
    roll,
    rot90,
    tile,
    trace,
    tril,
    triu,
)
from nbgrad.ops.reduce import (
    all,
    any,
    mean,
    nanmean,
    nansum,
    norm,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)
from nbgrad.ops.rounding import ceil, floor, round, sign, trunc
from nbgrad.ops.scan import cummax, cummin, cumprod, cumsum, diff, logcumsumexp, prod
from nbgrad.ops.scatter import (
    index_add,
    index_copy,
    index_fill,
    index_put,
    masked_scatter,
    scatter,
    scatter_add,
)
from nbgrad.ops.shape import (
    clone,
    expand,
    flatten,
    permute,
    reshape,
    squeeze,
    t,
    transpose,
    unsqueeze,
)
from nbgrad.ops.softmax import log_softmax, logsumexp, softmax
from nbgrad.ops.sparse import sparse_coo_tensor
from nbgrad.ops.special import digamma, erf, erfc, lgamma, polygamma
from nbgrad.ops.threads import get_num_threads, set_num_threads
from nbgrad.ops.trigonometry import (
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cosh,
    hypot,
    sinh,
    tan,
)
from nbgrad.ops.typed import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
)
