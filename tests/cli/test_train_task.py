"""The base of the tasks: what a task must bring."""

import pytest

from nbgrad.cli.train_task import Task


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("block", 1), ("batch", 2), ("loss", 2), ("factor", 2), ("report", 1)],
)
def test_a_task_must_bring_them(method, arguments):
    with pytest.raises(NotImplementedError):
        getattr(Task(), method)(*[None] * arguments)
