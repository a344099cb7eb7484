import nbgrad as nb
from nbgrad.parallel.micro_batches import gradient_of, size_of


def test_an_input_without_effect_has_gradient_zero():
    x = nb.ones(2, requires_grad=True)
    assert gradient_of(x).tolist() == [0.0, 0.0]
    (3 * x).sum().backward()
    assert gradient_of(x).tolist() == [3.0, 3.0]


def test_bytes():
    assert size_of((nb.zeros(2, 3), nb.zeros(4, dtype=nb.int64))) == 2 * 3 * 4 + 4 * 8
