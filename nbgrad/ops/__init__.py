"""Operations on tensors: one file per family, forward, VJP and kernels together."""

from nbgrad.ops import (
    methods,  # binds operators and methods to Tensor
    sparse,
    sparse_forms,  # gives operations their sparse forms
)
from nbgrad.ops.activation import relu
from nbgrad.ops.arithmetic import add, div, floor_divide, mul, remainder, sub
from nbgrad.ops.choose import clamp, where
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
from nbgrad.ops.conv2d import conv2d
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
from nbgrad.ops.extrema import maximum, minimum
from nbgrad.ops.index import gather, index_select, masked_fill, masked_select
from nbgrad.ops.matmul import bmm, dot, matmul, mm, mv
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
from nbgrad.ops.reduce import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    max,
    mean,
    min,
    norm,
    std,
    sum,
    var,
)
from nbgrad.ops.rounding import ceil, floor, round, sign
from nbgrad.ops.shape import (
    cat,
    chunk,
    clone,
    concat,
    concatenate,
    expand,
    flatten,
    flip,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    t,
    transpose,
    unbind,
    unsqueeze,
)
from nbgrad.ops.softmax import log_softmax, logsumexp, softmax
from nbgrad.ops.sparse import sparse_coo_tensor
from nbgrad.ops.threads import get_num_threads, set_num_threads
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
