"""Samples of linear algebra."""

import numpy as np

import nbgrad as nb
from tests.ops.sampling import sample

linalg = nb.linalg
EQUATIONS = {
    "ij,jk->ik": ((2, 3), (3, 2)), "bij,bjk": ((2, 2, 3), (2, 3, 2)), "ii": ((3, 3),), "ii->i": ((3, 3),),
    "ij->": ((2, 3),), "i,j->ij": ((2,), (3,)), "...ij,...j->...i": ((2, 2, 3), (3,)),
    "ijk,il,jm->klm": ((2, 3, 2), (2, 2), (3, 2)),
    "ij,ij->i": ((2, 3), (2, 3)), "ij,kj->k": ((2, 3), (2, 3)), "ij,jk->ki": ((0, 3), (3, 2)), "...a,...a->...": ((1, 3), (2, 3)),
}  # fmt: skip
for equation, operands in EQUATIONS.items():
    sample("einsum")(
        lambda m, e=equation, o=operands: (lambda *a: nb.einsum(e, *a), *[m(*shape) for shape in o])
    )
sample("tensordot")(lambda m: (lambda x, y: nb.tensordot(x, y, 2), m(2, 3, 2), m(3, 2, 2)))
sample("tensordot")(lambda m: (lambda x, y: nb.tensordot(x, y, ([0], [1])), m(2, 3), m(3, 2, 2)))
sample("multi_dot")(lambda m: (lambda *a: nb.linalg.multi_dot(a), m(2), m(2, 3), m(3, 2), m(2)))


def regular(m, *batch, n=3):
    """Matrices far from singular ones."""
    return m(*batch, n, n) + np.eye(n) * 6


def definite(x):
    """A symmetric positive definite matrix of any."""
    return x @ x.mT + nb.eye(x.shape[-1], dtype=x.dtype)


def of_signs(u):
    """What does not change when a column changes its sign."""
    return u.unsqueeze(-1) * u.unsqueeze(-2)


sample("inv")(lambda m: (linalg.inv, regular(m, 2)))
sample("solve")(lambda m: (linalg.solve, regular(m, 2, 1), m(3, 3, 2)))
sample("solve")(lambda m: (linalg.solve, regular(m), m(3)))
sample("solve")(lambda m: (lambda a, b: linalg.solve(a, b, left=False), regular(m), m(2, 3)))
sample("det")(lambda m: (linalg.det, regular(m, 2)))
sample("slogdet")(lambda m: (lambda x: linalg.slogdet(x)[1], regular(m, 2)))
sample("logdet")(lambda m: (lambda x: nb.logdet(definite(x)), regular(m)))
sample("matrix_power")(lambda m: (lambda x: linalg.matrix_power(x, 3), regular(m) / 6))
sample("matrix_power")(lambda m: (lambda x: linalg.matrix_power(x, -2), regular(m)))
sample("cholesky")(lambda m: (lambda x: linalg.cholesky(definite(x)), m(2, 3, 3)))
sample("cholesky")(lambda m: (lambda x: linalg.cholesky(definite(x), upper=True), m(2, 2)))


def spaced(m, rows, columns):
    """A matrix whose singular values are no neighbours."""
    u, _, vh = np.linalg.svd(m(rows, columns), full_matrices=False)
    return (u * np.arange(1.0, 1 + len(vh))) @ vh


sample("eigh")(lambda m: (lambda x: linalg.eigh(x + x.mT)[0], spaced(m, 3, 3)))
sample("eigh")(lambda m: (lambda x: of_signs(linalg.eigh(x @ x.mT)[1].mT), spaced(m, 3, 3)))
sample("eigvalsh")(lambda m: (lambda x: linalg.eigvalsh(x + x.mT), spaced(m, 3, 3)))
for shape in ((3, 3), (4, 2), (2, 2, 3)):
    sample("qr")(lambda m, s=shape: (linalg.qr, m(*s)))
    sample("qr")(lambda m, s=shape: (lambda x: linalg.qr(x).R, m(*s)))
sample("pinv")(lambda m: (linalg.pinv, spaced(m, 4, 2)))
sample("pinv")(lambda m: (linalg.pinv, spaced(m, 2, 3)))
sample("lstsq")(lambda m: (lambda a, b: linalg.lstsq(a, b).solution, spaced(m, 4, 2), m(4, 3)))
sample("lstsq")(lambda m: (lambda a, b: linalg.lstsq(a, b).residuals, spaced(m, 4, 2), m(4, 3)))
sample("svdvals")(lambda m: (linalg.svdvals, spaced(m, 3, 2)))
for shape in ((3, 3), (4, 2), (2, 4)):
    sample("svd")(lambda m, s=shape: (lambda x: linalg.svd(x, False).S, spaced(m, *s)))
    sample("svd")(lambda m, s=shape: (lambda x: of_signs(linalg.svd(x, False).U.mT), spaced(m, *s)))
    sample("svd")(lambda m, s=shape: (lambda x: of_signs(linalg.svd(x, False).Vh), spaced(m, *s)))
for order in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
    sample("matrix_norm")(lambda m, o=order: (lambda x: linalg.matrix_norm(x, o), spaced(m, 3, 2)))
for order in (1, 2, 3, float("inf"), -float("inf")):
    sample("vector_norm")(lambda m, o=order: (lambda x: linalg.vector_norm(x, o, 1), m(2, 3)))
