"""Members that have the same, and members that do not."""

from nbgrad.collectives.membership import State
from nbgrad.parallel.agreement import refuse_differences
from tests.collectives.everywhere import error_of, everywhere


def compared(rank, world):
    same = error_of(refuse_differences, State.default, "the order", ["a", "b"])
    other = error_of(
        refuse_differences, State.default, "the order", ["a", "c" if rank == 2 else "b"]
    )
    longer = error_of(refuse_differences, State.default, "the order", ["a"] * (1 + (rank == 1)))
    return same, other, longer


def test_the_first_difference_is_named_on_all(group3):
    for same, other, longer in group3.call(everywhere, compared):
        assert same is None
        assert other[0] == longer[0] == "DesyncError"
        assert "the order: at number 1, rank 0 has b, and rank 2 has c" in other[1]
        assert "rank 0 has nothing more (it has 1), and rank 1 has a" in longer[1]
