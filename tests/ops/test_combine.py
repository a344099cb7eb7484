import numpy as np

import nbgrad as nb
from tests.arrays import values

A, B, C = values((2, 3), 0), values((3, 4), 1), values((2, 4), 2)
TA, TB, TC = nb.Tensor(A), nb.Tensor(B), nb.Tensor(C)


def same(found, expected):
    np.testing.assert_allclose(found.array, expected, rtol=1e-12, atol=1e-14)


def test_elementwise():
    same(nb.lerp(TA, TA * 2.0, 0.25), A * 1.25)
    same(nb.addcmul(TA, TA, TA, value=3), A + 3 * A * A)
    same(nb.addcdiv(TA, TA, TA), A + 1)
    same(nb.addcdiv(TA, TA, TA, value=2), A + 2)


def test_products_added():
    same(nb.addmm(TC, TA, TB), C + A @ B)
    same(nb.addmm(TC, TA, TB, beta=2, alpha=3), 2 * C + 3 * A @ B)
    same(nb.addmm(TC * np.nan, TA, TB, beta=0), A @ B)
    same(nb.addmv(TC[:, 0], TA, TB[:, 0], alpha=2), C[:, 0] + 2 * A @ B[:, 0])
    same(nb.addr(TB, TB[:, 0], TB[0]), B + np.outer(B[:, 0], B[0]))
    batch = values((5, 2, 3), 3), values((5, 3, 4), 4)
    x, y = map(nb.Tensor, batch)
    same(nb.baddbmm(TC, x, y), C + batch[0] @ batch[1])
    same(nb.addbmm(TC, x, y), C + (batch[0] @ batch[1]).sum(0))


def test_products_of_all_with_all():
    same(nb.outer(TA[0], TB[0]), np.outer(A[0], B[0]))
    same(nb.inner(TA, TB.T), np.inner(A, B.T))
    same(nb.inner(nb.tensor(2.0), nb.tensor([3.0])), [6.0])
    same(nb.inner(TA[0], TB[:, 0]), A[0] @ B[:, 0])
    same(nb.kron(TA, TB), np.kron(A, B))
    same(nb.kron(TA[0], TB), np.kron(A[0], B))
    same(nb.kron(TB, TA[0]), np.kron(B, A[0]))
