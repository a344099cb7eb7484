import numpy as np
import pytest

import nbgrad as nb
from nbgrad.errors import ShapeError
from tests.ops.samples_linalg import EQUATIONS

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "equation", [*EQUATIONS, "ijk,jil->kl", "ab,bc,cd,de", "i,i,i->i", "iij,jk->ik", "...->..."]
)
def test_numpy_gives_the_same(equation):
    shapes = EQUATIONS.get(equation) or {
        "ijk,jil->kl": ((2, 3, 4), (3, 2, 5)),
        "ab,bc,cd,de": ((2, 3), (3, 4), (4, 1), (1, 5)),
        "i,i,i->i": ((3,), (3,), (3,)),
        "iij,jk->ik": ((2, 2, 3), (3, 4)),
        "...->...": ((2, 3),),
    }[equation]  # fmt: skip
    arrays = [RNG.standard_normal(shape) for shape in shapes]
    y = nb.einsum(equation, *[nb.Tensor(x) for x in arrays])
    expected = np.einsum(equation, *arrays)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.array, expected, atol=1e-12)


def test_a_list_and_integers():
    x = nb.arange(4).reshape(2, 2)
    assert nb.einsum("ij->ji", [x]).tolist() == [[0, 2], [1, 3]]
    assert nb.einsum("ij, jk -> ik", x, x).tolist() == (x.array @ x.array).tolist()


@pytest.mark.parametrize(
    ("equation", "shapes", "words"),
    [
        ("ij,jk->ik", ((2, 3), (2, 3)), "remapped shapes"),
        ("ij->ij", ((2,),), "number of subscripts"),
        ("i,i->i", ((2,),), "1 are given"),
        ("i->j", ((2,),), "output subscript"),
        ("i->ii", ((2,),), "output subscript"),
        ("1->1", ((2,),), "invalid subscript"),
    ],
)
def test_mistakes(equation, shapes, words):
    with pytest.raises(ShapeError, match=words):
        nb.einsum(equation, *[nb.ones(*shape) for shape in shapes])


@pytest.mark.parametrize("dims", [0, 1, ([0, 1], [1, 0]), ([-1], [0])])
def test_tensordot(dims):
    x, y = RNG.standard_normal((3, 3)), RNG.standard_normal((3, 3))
    z = nb.tensordot(nb.Tensor(x), nb.Tensor(y), dims)
    np.testing.assert_allclose(z.array, np.tensordot(x, y, dims))


def test_tensordot_of_lengths_that_differ():
    with pytest.raises(ShapeError, match="need to match"):
        nb.tensordot(nb.ones(2, 3), nb.ones(2, 3), 1)
