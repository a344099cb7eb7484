import pytest

from nbgrad.errors import ShapeError
from nbgrad.ops.windows import check_images, out_length, pair


def test_pairs():
    assert pair(3) == pair((3, 3)) == pair([3]) == (3, 3)


def test_lengths():
    assert out_length("op", 8, 3, 1, 1) == 8
    assert out_length("op", 8, 3, 2, 0) == 3
    assert out_length("op", 8, 3, 1, 0, 2) == 4
    with pytest.raises(ShapeError, match="kernel size can't be greater"):
        out_length("op", 2, 3, 1, 0)
    with pytest.raises(ShapeError, match="stride"):
        out_length("op", 8, 3, 0, 0)


def test_images():
    check_images("op", (1, 2, 3))
    with pytest.raises(ShapeError, match="3D"):
        check_images("op", (1, 2))
