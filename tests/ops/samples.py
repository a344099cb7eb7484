"""One sample call of every differentiable function: what the checks of derivatives and the table of operations run.

A sample is a function of a `Make`, which makes arrays of float64 in random layouts, and returns (function, *arrays).  The
name is the one under which users find the function: `nb.NAME`, `nn.functional.NAME` or `Tensor.NAME`.
"""

import numpy as np

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from tests.arrays import LAYOUTS, laid_out, values


class Make:
    """Arrays of seeded values, no two of them alike; `m(2, 3)` is one of that shape."""

    def __init__(self, seed, layouts=LAYOUTS):
        self.rng, self.layouts = np.random.default_rng(seed), layouts

    def __call__(self, *shape, low=-2.0, high=2.0, gap=0.1):
        x = values(shape, self.rng.integers(1 << 30), low, high, gap)
        return laid_out(x, self.rng.choice(self.layouts))

    def positive(self, *shape):
        return self(*shape, low=0.5, high=2.0, gap=0)

    def inside(self, *shape, low=0.1, high=0.8):
        return self(*shape, low=low, high=high, gap=0)

    def shape(self, min_side=0):
        """A random shape of 0 to 3 dimensions, zeros among the lengths."""
        return tuple(self.rng.integers(min_side, 4, self.rng.integers(0, 4)).tolist())

    def broadcast(self):
        """Two shapes that fit together: lengths of one of them are replaced by 1, or left out in front."""
        whole = self.shape()
        part = [1 if self.rng.random() < 0.4 else n for n in whole]
        part = part[self.rng.integers(0, len(part) + 1) :]
        return (whole, tuple(part)) if self.rng.random() < 0.5 else (tuple(part), whole)

    def dims(self, ndim):
        """None, one dimension or two."""
        return [None, 0, -1, (0, -1)][self.rng.integers(0, 4 if ndim > 1 else 3)]

    def flag(self):
        return bool(self.rng.random() < 0.5)

    def ints(self, *shape, below):
        return nb.Tensor(self.rng.integers(0, below, shape))


def with_zeros(x, count):
    """x with its first elements 0."""
    x.flat[:count] = 0
    return x


samples = {}


def sample(name):
    """Register a sample under the name of a function; more than one for the same function get a number."""

    def register(make):
        key, n = name, 2
        while key in samples:
            key, n = f"{name} {n}", n + 1
        samples[key] = make
        return make

    return register


def function_of(name):
    """nb.NAME, nn.functional.NAME or Tensor.NAME."""
    return next(getattr(space, name) for space in (nb, F, nb.Tensor) if hasattr(space, name))


def unary(names, draw):
    """Samples of functions of one array of any shape."""
    for name in names.split():
        sample(name)(lambda m, name=name: (function_of(name), draw(m, *m.shape())))


def binary(names, draw):
    """Samples of functions of two arrays that are broadcast, and of two of one shape."""
    for name in names.split():

        def apart(m, name=name):
            x, y = m.broadcast()
            return function_of(name), m(*x), draw(m, *y)

        def alike(m, name=name):
            shape = m.shape()
            return function_of(name), m(*shape), draw(m, *shape)

        sample(name)(apart)
        sample(name)(alike)


# ---------------------------------------------------------------- one element

unary("neg abs exp sin cos tanh sigmoid tan atan sinh cosh asinh", Make.__call__)
unary("exp2 expm1 erf erfc sinc square", Make.__call__)
unary("relu elu gelu silu softplus leaky_relu relu6 hardtanh hardsigmoid hardswish", Make.__call__)
unary("softshrink selu celu logsigmoid softsign tanhshrink mish", Make.__call__)
unary("log log1p sqrt rsqrt reciprocal log2 log10 lgamma digamma", Make.positive)
unary("asin acos atanh logit", Make.inside)
sample("acosh")(lambda m: (nb.acosh, m(*m.shape(), low=1.5, high=3.0)))
sample("hardshrink")(lambda m: (F.hardshrink, m(*m.shape(), gap=0.6)))
sample("threshold")(lambda m: (lambda x: F.threshold(x, 0.0, 7.0), m(*m.shape())))
sample("gelu")(lambda m: (lambda x: F.gelu(x, "tanh"), m(*m.shape())))
sample("polygamma")(lambda m: (lambda x: nb.polygamma(1, x), m.positive(2, 3)))
sample("clamp")(lambda m: (lambda x: x.clamp(-1.05, 1.05), m(*m.shape())))
sample("glu")(lambda m: (F.glu, m(2, 4)))
sample("prelu")(lambda m: (F.prelu, m(2, 3, 2), m(3)))
sample("rrelu")(lambda m: (F.rrelu, m(2, 3)))
sample("softmin")(lambda m: (lambda x: F.softmin(x, 1), m(2, 3)))

# ---------------------------------------------------------------- two operands

binary("add sub mul maximum minimum atan2 logaddexp", Make.__call__)
binary("div xlogy", Make.positive)


@sample("pow")
def _(m):
    x, y = m.broadcast()
    return nb.pow, m.positive(*x), m(*y)


for text in ("x * 3.0", "x + 3.0", "3.0 - x", "x / 3.0", "3.0 / x", "x - 1", "x**2", "x**3", "2.0**x", "x**0"):  # fmt: skip
    sample("number")(lambda m, text=text: (eval(f"lambda x: {text}"), m(*m.shape())))


@sample("where")
def _(m):
    x, y = m.broadcast()
    mask = nb.Tensor(m.rng.random(max(x, y, key=len)) < 0.5)
    return lambda a, b: nb.where(mask, a, b), m(*x), m(*y)


# ---------------------------------------------------------------- reductions


def reduction(name, draw=Make.__call__, **options):
    def make(m):
        x = draw(m, *m.shape(min_side=2))
        dim, keepdim = m.dims(x.ndim), m.flag()
        return lambda a: function_of(name)(a, dim=dim, keepdim=keepdim, **options), x

    sample(name)(make)


for name in ("sum", "mean", "amax", "amin"):
    reduction(name)
reduction("norm")
reduction("norm", p=3.0)
reduction("norm", p=1.0)
sample("var")(lambda m: (lambda x: nb.var(x, 1, keepdim=True), m(3, 4)))
sample("std")(lambda m: (lambda x: nb.std(x, unbiased=False), m(3, 4)))
sample("max")(lambda m: (lambda x: x.max(1), m(3, 4)))
sample("min")(lambda m: (lambda x: x.min(0, True)[0], m(3, 4)))
sample("logsumexp")(lambda m: (lambda x: x.logsumexp(1), m(2, 3)))
sample("logsumexp")(lambda m: (lambda x: x.logsumexp(0, True), m(2, 3)))
sample("softmax")(lambda m: (lambda x: x.softmax(0), m(2, 3)))
sample("log_softmax")(lambda m: (lambda x: x.log_softmax(-1), m(2, 3)))
sample("sum_to_size")(lambda m: (lambda x: x.sum_to_size(3, 1), m(2, 3, 4)))
sample("trace")(lambda m: (nb.trace, m(3, 4)))

sample("prod")(lambda m: (nb.prod, m(*m.shape())))
sample("prod")(lambda m: (lambda x: nb.prod(x, (0, -1), True), with_zeros(m(2, 3, 2), 2)))
sample("cumsum")(lambda m: (lambda x: x.cumsum(0), m(*m.shape())))
sample("cumsum")(lambda m: (lambda x: x.cumsum(1), m(2, 3, 2)))
sample("cumprod")(lambda m: (lambda x: x.cumprod(0), m(*m.shape())))
sample("cumprod")(lambda m: (lambda x: x.cumprod(1), with_zeros(m(2, 4, 2), 3)))
sample("cummax")(lambda m: (lambda x: x.cummax(1), m(2, 4)))
sample("cummin")(lambda m: (lambda x: x.cummin(0), m(4, 2)))
sample("diff")(lambda m: (lambda x: x.diff(2), m(2, 4)))

# ---------------------------------------------------------------- order

sample("sort")(lambda m: (lambda x: x.sort(descending=True).values, m(2, 4)))
sample("sort")(lambda m: (lambda x: x.sort(0).values, m(4, 2)))
sample("topk")(lambda m: (lambda x: x.topk(2).values, m(2, 4)))
sample("topk")(lambda m: (lambda x: x.topk(2, 0, largest=False, sorted=False).values, m(4, 2)))
sample("kthvalue")(lambda m: (lambda x: x.kthvalue(2, 0).values, m(3, 2)))
sample("median")(lambda m: (nb.median, m(3, 2)))
sample("median")(lambda m: (lambda x: x.median(1, keepdim=True).values, m(2, 4)))
sample("take_along_dim")(
    lambda m: (lambda x: x.take_along_dim(nb.tensor([[1, 1, 0, 2]]), 1), m(2, 3))
)

# ---------------------------------------------------------------- shapes

sample("reshape")(lambda m: (lambda x: x.reshape(3, -1), m(2, 3)))
sample("flatten")(lambda m: (lambda x: x.flatten(1), m(2, 3, 2)))
sample("permute")(lambda m: (lambda x: x.permute(2, 0, 1), m(2, 3, 4)))
sample("transpose")(lambda m: (lambda x: x.transpose(0, 2), m(2, 3, 4)))
sample("t")(lambda m: (nb.t, m(2, 3)))
sample("unsqueeze")(lambda m: (lambda x: x.unsqueeze(1), m(2, 3)))
sample("squeeze")(lambda m: (nb.squeeze, m(2, 1, 3)))
sample("expand")(lambda m: (lambda x: x.expand(4, 2, 3), m(2, 1)))
sample("clone")(lambda m: (nb.clone, m(*m.shape())))
sample("cat")(lambda m: (lambda *a: nb.cat(a, 1), m(2, 3), m(2, 1)))
sample("stack")(lambda m: (lambda *a: nb.stack(a, 1), m(2, 3), m(2, 3)))
sample("split")(lambda m: (lambda x: x.split(2, 1), m(2, 3)))
sample("split")(lambda m: (lambda x: x.split([1, 2], 1)[1], m(2, 3)))
sample("chunk")(lambda m: (lambda x: x.chunk(2), m(3, 2)))
sample("unbind")(lambda m: (lambda x: x.unbind(1)[0], m(2, 3)))
sample("flip")(lambda m: (lambda x: x.flip(0, 1), m(2, 3, 2)))
sample("fliplr")(lambda m: (nb.fliplr, m(2, 3)))
sample("flipud")(lambda m: (nb.flipud, m(2, 3)))
for k in range(4):
    sample("rot90")(lambda m, k=k: (lambda x: nb.rot90(x, k), m(2, 3)))
sample("roll")(lambda m: (lambda x: x.roll((1, 2), (0, 1)), m(2, 3)))
sample("roll")(lambda m: (lambda x: x.roll(4), m(2, 3)))
sample("repeat")(lambda m: (lambda x: x.repeat(2, 1, 3), m(2, 3)))
sample("tile")(lambda m: (lambda x: x.tile(2), m(2, 3)))
sample("repeat_interleave")(lambda m: (lambda x: x.repeat_interleave(2, 1), m(2, 3)))
sample("tril")(lambda m: (nb.tril, m(2, 3, 3)))
sample("triu")(lambda m: (lambda x: x.triu(1), m(3, 4)))
sample("diagonal")(lambda m: (lambda x: x.diagonal(1, 2, 0), m(3, 2, 3)))
sample("diag")(lambda m: (lambda x: x.diag(-1), m(3)))
sample("diag")(lambda m: (nb.diag, m(3, 3)))
sample("diag_embed")(lambda m: (lambda x: x.diag_embed(1, 0, 2), m(2, 3)))

# ---------------------------------------------------------------- places

sample("getitem")(lambda m: (lambda x: x[1:, ::-1], m(2, 3)))
sample("getitem")(lambda m: (lambda x: x[:, [0, 0, 2]], m(2, 3)))
sample("getitem")(lambda m: (lambda x: x[x.detach() > 0], m(2, 3)))
sample("gather")(lambda m: (lambda x: x.gather(1, nb.tensor([[0, 0], [1, 2]])), m(2, 3)))
sample("index_select")(lambda m: (lambda x: x.index_select(1, nb.tensor([2, 0, 2])), m(2, 3)))
sample("masked_fill")(
    lambda m: (lambda x: x.masked_fill(nb.tensor([True, False, True]), 1.0), m(2, 3))
)
sample("masked_select")(lambda m: (lambda x: x.masked_select(nb.tensor([True, False, True])), m(3)))

INDEX = nb.tensor([[2, 0, 1], [0, 1, 2]])
sample("scatter")(lambda m: (lambda x, s: x.scatter(0, INDEX, s), m(4, 3), m(2, 4)))
sample("scatter_add")(
    lambda m: (lambda x, s: x.scatter_add(1, nb.tensor([[1, 1]]), s), m(2, 3), m(1, 2))
)
sample("index_add")(
    lambda m: (lambda x, s: x.index_add(0, nb.tensor([1, 1]), s, alpha=2), m(2, 3), m(2, 3))
)
sample("index_copy")(
    lambda m: (lambda x, s: x.index_copy(1, nb.tensor([2, 0]), s), m(2, 3), m(2, 2))
)
sample("index_fill")(lambda m: (lambda x: x.index_fill(1, nb.tensor([2, 0]), 5.0), m(2, 3)))
sample("index_put")(lambda m: (lambda x, s: x.index_put((nb.tensor([1, 0]),), s), m(2, 3), m(3)))
sample("masked_scatter")(
    lambda m: (lambda x, s: x.masked_scatter(nb.tensor([True, False, True]), s), m(2, 3), m(5))
)

# ---------------------------------------------------------------- matrices

sample("lerp")(lambda m: (nb.lerp, m(2, 3), m(3), m(2, 1)))
sample("addcmul")(lambda m: (lambda *a: nb.addcmul(*a, value=3), m(2, 3), m(3), m(2, 1)))
sample("addcdiv")(lambda m: (nb.addcdiv, m(2, 3), m(3), m.positive(2, 1)))
sample("addmm")(lambda m: (lambda *a: nb.addmm(*a, beta=2, alpha=3), m(4), m(2, 3), m(3, 4)))
sample("addmv")(lambda m: (nb.addmv, m(2), m(2, 3), m(3)))
sample("addr")(lambda m: (nb.addr, m(2, 3), m(2), m(3)))
sample("baddbmm")(lambda m: (nb.baddbmm, m(2, 2, 2), m(2, 2, 3), m(2, 3, 2)))
sample("addbmm")(lambda m: (nb.addbmm, m(2, 2), m(2, 2, 3), m(2, 3, 2)))
sample("outer")(lambda m: (nb.outer, m(2), m(3)))
sample("inner")(lambda m: (nb.inner, m(2, 3), m(4, 3)))
sample("kron")(lambda m: (nb.kron, m(2, 3), m(2)))

for x, y in (((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3, 4)), ((2, 2, 3), (2, 3, 4)),
             ((5, 1, 2, 3), (2, 3, 4)), ((3,), (2, 3, 4)), ((2, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3))):  # fmt: skip
    sample("matmul")(lambda m, x=x, y=y: (nb.matmul, m(*x), m(*y)))
sample("mm")(lambda m: (nb.mm, m(2, 3), m(3, 2)))
sample("bmm")(lambda m: (nb.bmm, m(2, 2, 3), m(2, 3, 2)))
sample("mv")(lambda m: (nb.mv, m(2, 3), m(3)))
sample("dot")(lambda m: (nb.dot, m(3), m(3)))
sample("linear")(lambda m: (F.linear, m(2, 3), m(4, 3), m(4)))
sample("linear")(lambda m: (F.linear, m(2, 2, 3), m(4, 3)))
sample("linear")(lambda m: (F.linear, m(3), m(4, 3), m(4)))

# ---------------------------------------------------------------- losses

REDUCTIONS = ("mean", "sum", "none")
for r in REDUCTIONS:
    for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"):
        sample(name)(
            lambda m, n=name, r=r: (lambda x, y: getattr(F, n)(x, y, reduction=r), m(2, 3), m(2, 3))
        )
    sample("binary_cross_entropy_with_logits")(
        lambda m, r=r: (lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction=r), m(2, 3), m.inside(2, 3))
    )  # fmt: skip
    sample("binary_cross_entropy")(
        lambda m, r=r: (lambda x, t: F.binary_cross_entropy(x, t, reduction=r), m.inside(2, 3), m.inside(2, 3))
    )  # fmt: skip
    for name in ("cross_entropy", "nll_loss"):
        sample(name)(
            lambda m, n=name, r=r: (lambda x: getattr(F, n)(x, nb.tensor([1, 0, 2]), reduction=r), m(3, 4))
        )  # fmt: skip
        sample(name)(
            lambda m, n=name, r=r: (lambda x: getattr(F, n)(x, nb.tensor([[1, 0], [2, -100]]), reduction=r), m(2, 4, 2))
        )  # fmt: skip
sample("cross_entropy")(
    lambda m: (lambda x: F.cross_entropy(x, nb.tensor([1, 0]), label_smoothing=0.1), m(2, 3))
)
sample("cross_entropy")(lambda m: (F.cross_entropy, m(2, 3), m.positive(2, 3)))

# ---------------------------------------------------------------- layers

sample("conv2d")(lambda m: (F.conv2d, m(2, 2, 5, 4), m(3, 2, 3, 2), m(3)))
sample("conv2d")(
    lambda m: (
        lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2),
        m(1, 2, 5, 4),
        m(4, 1, 3, 2),
    )
)
sample("conv2d")(lambda m: (F.conv2d, m(2, 5, 4), m(3, 2, 1, 1), m(3)))
sample("max_pool2d")(lambda m: (lambda x: F.max_pool2d(x, 2, 1, 1), m(2, 2, 3, 4)))
sample("avg_pool2d")(lambda m: (lambda x: F.avg_pool2d(x, 2, 1, 1), m(2, 2, 3, 4)))
sample("avg_pool2d")(
    lambda m: (lambda x: F.avg_pool2d(x, 2, 2, 1, count_include_pad=False), m(1, 2, 5, 4))
)
sample("adaptive_avg_pool2d")(lambda m: (lambda x: F.adaptive_avg_pool2d(x, 2), m(1, 2, 4, 4)))
sample("adaptive_max_pool2d")(lambda m: (lambda x: F.adaptive_max_pool2d(x, 2), m(1, 2, 4, 4)))
sample("embedding")(lambda m: (lambda w: F.embedding(nb.tensor([1, 0, 1]), w), m(3, 2)))
for mode in ("sum", "mean", "max"):
    sample("embedding_bag")(
        lambda m, mode=mode: (
            lambda w: F.embedding_bag(nb.tensor([1, 0, 2]), w, nb.tensor([0, 2]), mode=mode), m(3, 2))
    )  # fmt: skip
sample("embedding_bag")(
    lambda m: (
        lambda w, s: F.embedding_bag(nb.tensor([1, 0, 2]), w, nb.tensor([0, 2]), mode="sum", per_sample_weights=s),
        m(3, 2), m(3))
)  # fmt: skip
for training in (False, True):

    @sample("batch_norm")
    def _(m, training=training):
        means, variances = nb.Tensor(m(3)), nb.Tensor(m.positive(3))
        function = lambda x, w, b: F.batch_norm(x, means.clone(), variances.clone(), w, b, training)  # noqa: E731
        return function, m(4, 3, 2), m(3), m(3)


sample("batch_norm")(lambda m: (lambda x: F.batch_norm(x, None, None, training=True), m(4, 3)))
sample("layer_norm")(
    lambda m: (lambda x, w, b: F.layer_norm(x, (3, 2), w, b), m(4, 3, 2), m(3, 2), m(3, 2))
)
sample("layer_norm")(lambda m: (lambda x: F.layer_norm(x, 4), m(3, 4)))
sample("rms_norm")(lambda m: (lambda x, w: F.rms_norm(x, 4, w), m(3, 4), m(4)))
sample("group_norm")(lambda m: (lambda x, w, b: F.group_norm(x, 2, w, b), m(2, 4, 3), m(4), m(4)))
sample("bias_activation")(lambda m: (F.bias_activation, m(2, 3), m(3)))
sample("bias_activation")(lambda m: (lambda x, b: F.bias_activation(x, b, "gelu"), m(2, 3), m(3)))
sample("normalize")(lambda m: (F.normalize, m(2, 3)))
