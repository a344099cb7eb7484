import numpy as np

import nbgrad as nb

A = np.array([[0, 3, 3], [1, 0, 3]])
X = nb.Tensor(A)


def test_places():
    assert nb.nonzero(X).tolist() == np.argwhere(A).tolist()
    rows, columns = X.nonzero(as_tuple=True)
    assert X[rows, columns].tolist() == [3, 3, 1, 3]
    assert nb.nonzero(nb.tensor(5.0)).shape == (1, 0)
    assert nb.searchsorted(nb.tensor([1, 3, 5]), nb.tensor([3]), right=True).tolist() == [2]


def test_counts():
    assert X.count_nonzero().item() == 4
    assert X.count_nonzero((0, 1)).dtype == np.int64
    assert nb.count_nonzero(X, 1).tolist() == [2, 2]
    assert nb.bincount(X.ravel(), minlength=5).tolist() == [2, 1, 0, 3, 0]
    weighted = nb.bincount(nb.tensor([0, 1, 1]), nb.tensor([1.0, 2.0, 3.0]))
    assert (weighted.tolist(), weighted.dtype) == ([1, 5], np.float32)


def test_unique():
    assert nb.unique(X).tolist() == [0, 1, 3]
    values, inverse, counts = X.unique(return_inverse=True, return_counts=True)
    assert values[inverse].tolist() == A.tolist()
    assert counts.tolist() == [2, 1, 3]
    assert nb.unique(nb.tensor([[1, 1], [2, 2]]), dim=1).tolist() == [[1], [2]]
    assert nb.isin(X, nb.tensor([3])).tolist() == (A == 3).tolist()
