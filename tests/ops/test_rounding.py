import nbgrad as nb


def test_rounding_is_constant():
    x = nb.tensor([-1.5, 0.5, 2.7], requires_grad=True)
    assert nb.floor(x).tolist() == [-2, 0, 2]
    assert nb.ceil(x).tolist() == [-1, 1, 3]
    assert nb.round(x).tolist() == [-2, 0, 3]
    assert nb.trunc(x).tolist() == [-1, 0, 2]
    assert nb.trunc(nb.tensor([3])).dtype == nb.int64
    assert nb.sign(x).tolist() == [-1, 1, 1]
    assert not nb.floor(x).requires_grad
