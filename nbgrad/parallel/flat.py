"""Flat: all parameters of a model, and the arrays of their optimizer's state, as ranges of memory that all workers share."""

from collections.abc import Sequence

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.errors import DtypeError
from nbgrad.parallel.agreement import refuse_differences
from nbgrad.parallel.memory import common

LINE = 64  # bytes of a cache line: each parameter begins at one, and so does each slice


class Flat:
    """Where parameters lie in shared memory; made by all members at once, with the values of the first.

    Parameters
    ----------
    pg : ProcessGroup
        The workers.
    params : sequence of Tensor
        All float32, or all float64; they move to shared memory.
    n_states : int
        Further arrays of the same form, zeroed.

    Attributes
    ----------
    values, states
        Flat arrays: of the parameters, and one per kind of state.
    first : list of int
        Number of each parameter's first element.
    first_own, last_own : int
        This member's slice, in elements.

    Raises
    ------
    DtypeError
        If the dtypes differ, or are no floating-point ones.
    DesyncError
        If workers have different parameters.
    SharedMemoryFull
        If there is no room.
    """

    def __init__(self, pg: ProcessGroup, params: Sequence[Tensor], n_states: int):
        self.params = list(params)
        dtypes = {str(p.array.dtype) for p in self.params}
        if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
            raise DtypeError(
                f"parameters that workers share must all be float32, or all float64; these are {sorted(dtypes)}: convert the "
                f"model with .float() or .double()"
            )
        self.dtype = self.params[0].array.dtype
        lines = [
            f"a parameter of shape {tuple(p.array.shape)}, {p.array.dtype}" for p in self.params
        ]
        refuse_differences(pg, "the parameters of the model", lines)
        unit = LINE // self.dtype.itemsize
        sizes = [(p.array.size + unit - 1) // unit * unit for p in self.params]
        ends = np.cumsum([0, *sizes])
        self.first, n = [int(end) for end in ends[:-1]], max(int(ends[-1]), unit)
        share = (n // unit + pg.size() - 1) // pg.size() * unit
        self.first_own, self.last_own = min(pg.me * share, n), min((pg.me + 1) * share, n)
        memory = common(pg, (1 + n_states) * n * self.dtype.itemsize).view(self.dtype)
        arrays = [memory[k * n : (k + 1) * n] for k in range(1 + n_states)]
        for array in arrays:  # each member touches first what it will work on
            array[self.first_own : self.last_own] = 0
        self.values, self.states = arrays[0], arrays[1:]
        self.owners = [self.views(array) for array in arrays]

    def views(self, array: np.ndarray) -> list[np.ndarray]:
        """The range of each parameter, in its shape."""
        return [
            array[first : first + p.array.size].reshape(p.array.shape)
            for first, p in zip(self.first, self.params)
        ]

    def move_in(self, is_first: bool) -> None:
        """Let the parameters lie here; the first member brings its values.  Members meet before and after."""
        for p, view in zip(self.params, self.owners[0]):
            if is_first:
                np.copyto(view, p.array)
            p.array = view

    def strayed(self) -> int:
        """Number of a parameter that does not lie here any more, or -1."""
        for k, (p, view) in enumerate(zip(self.params, self.owners[0])):
            if p.array is not view:
                return k
        return -1
