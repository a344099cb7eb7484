"""One sample call of every differentiable function: what the checks of derivatives and the table of operations run."""

import nbgrad as nb
import nbgrad.nn.functional as F  # noqa: N812
from tests.ops import samples_linalg, samples_nn  # noqa: F401  (they register theirs)
from tests.ops.sampling import Make, binary, fixed, function_of, sample, samples, unary, with_zeros

__all__ = ["Make", "samples"]

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
binary("hypot", Make.positive)
sample("fmod")(
    lambda m: (nb.fmod, m(2, 3, low=5.1, high=5.9, gap=0), m(3, low=1.6, high=1.65, gap=0))
)
sample("fmod")(lambda m: (lambda x: nb.fmod(x, 3.0), m(2, 3, low=-2.9, high=2.9, gap=0)))


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
sample("var_mean")(lambda m: (lambda x: nb.var_mean(x, 1, keepdim=True), m(3, 4)))
sample("std_mean")(lambda m: (lambda x: nb.std_mean(x, 1, False), m(3, 4)))


def with_nan(x):
    return x.masked_fill(fixed([False, True, False]), float("nan"))


sample("nansum")(lambda m: (lambda x: nb.nansum(with_nan(x), 1), m(2, 3)))
sample("nanmean")(lambda m: (lambda x: nb.nanmean(with_nan(x), (0, 1), True), m(2, 3)))
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
sample("logcumsumexp")(lambda m: (lambda x: x.logcumsumexp(0), m(*m.shape())))
sample("logcumsumexp")(lambda m: (lambda x: x.logcumsumexp(1), m(2, 4, 2)))
sample("diff")(lambda m: (lambda x: x.diff(2), m(2, 4)))

# ---------------------------------------------------------------- order

sample("sort")(lambda m: (lambda x: x.sort(descending=True).values, m(2, 4)))
sample("sort")(lambda m: (lambda x: x.sort(0).values, m(4, 2)))
sample("topk")(lambda m: (lambda x: x.topk(2).values, m(2, 4)))
sample("topk")(lambda m: (lambda x: x.topk(2, 0, largest=False, sorted=False).values, m(4, 2)))
sample("kthvalue")(lambda m: (lambda x: x.kthvalue(2, 0).values, m(3, 2)))
sample("median")(lambda m: (nb.median, m(3, 2)))
sample("median")(lambda m: (lambda x: x.median(1, keepdim=True).values, m(2, 4)))
sample("take_along_dim")(lambda m: (lambda x: x.take_along_dim(fixed([[1, 1, 0, 2]]), 1), m(2, 3)))

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

sample("narrow")(lambda m: (lambda x: x.narrow(1, 1, 2), m(2, 3)))
sample("select")(lambda m: (lambda x: x.select(1, 1), m(2, 3)))
sample("movedim")(lambda m: (lambda x: x.movedim(0, 2), m(2, 3, 2)))
sample("swapaxes")(lambda m: (lambda x: x.swapaxes(0, 1), m(2, 3)))
sample("unflatten")(lambda m: (lambda x: x.unflatten(1, (2, 2)), m(3, 4)))
sample("ravel")(lambda m: (nb.ravel, m(2, 3)))
sample("broadcast_to")(lambda m: (lambda x: x.broadcast_to((2, 3)), m(3)))
sample("broadcast_tensors")(lambda m: (nb.broadcast_tensors, m(2, 1), m(3)))
for name in ("hstack", "vstack", "dstack"):
    sample(name)(lambda m, name=name: (lambda *a: function_of(name)(a), m(2, 3), m(2, 3)))
sample("tensor_split")(lambda m: (lambda x: x.tensor_split(2), m(3, 2)))
sample("meshgrid")(lambda m: (lambda *a: nb.meshgrid(*a, indexing="xy"), m(2), m(3)))

# ---------------------------------------------------------------- places

sample("getitem")(lambda m: (lambda x: x[1:, ::-1], m(2, 3)))
sample("getitem")(lambda m: (lambda x: x[:, [0, 0, 2]], m(2, 3)))
sample("getitem")(lambda m: (lambda x: x[x.detach() > 0], m(2, 3)))
sample("gather")(lambda m: (lambda x: x.gather(1, fixed([[0, 0], [1, 2]])), m(2, 3)))
sample("index_select")(lambda m: (lambda x: x.index_select(1, fixed([2, 0, 2])), m(2, 3)))
sample("masked_fill")(lambda m: (lambda x: x.masked_fill(fixed([True, False, True]), 1.0), m(2, 3)))
sample("masked_select")(lambda m: (lambda x: x.masked_select(fixed([True, False, True])), m(3)))

INDEX = nb.tensor([[2, 0, 1], [0, 1, 2]])
sample("scatter")(lambda m: (lambda x, s: x.scatter(0, INDEX, s), m(4, 3), m(2, 4)))
sample("scatter_add")(
    lambda m: (lambda x, s: x.scatter_add(1, fixed([[1, 1]]), s), m(2, 3), m(1, 2))
)
sample("index_add")(
    lambda m: (lambda x, s: x.index_add(0, fixed([1, 1]), s, alpha=2), m(2, 3), m(2, 3))
)
sample("index_copy")(lambda m: (lambda x, s: x.index_copy(1, fixed([2, 0]), s), m(2, 3), m(2, 2)))
sample("index_fill")(lambda m: (lambda x: x.index_fill(1, fixed([2, 0]), 5.0), m(2, 3)))
sample("index_put")(lambda m: (lambda x, s: x.index_put((fixed([1, 0]),), s), m(2, 3), m(3)))
sample("masked_scatter")(
    lambda m: (lambda x, s: x.masked_scatter(fixed([True, False, True]), s), m(2, 3), m(5))
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
