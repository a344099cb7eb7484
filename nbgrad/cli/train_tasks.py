"""The tasks of `nbgrad train` by their names."""

from nbgrad.cli.train_chars import CharsTask
from nbgrad.cli.train_digits import DigitsTask
from nbgrad.cli.train_plan import Plan
from nbgrad.cli.train_table import TableTask
from nbgrad.cli.train_task import Task

TASKS: dict[str, type[Task]] = {"digits": DigitsTask, "chars": CharsTask, "table": TableTask}


def task_of(plan: Plan) -> Task:
    """The task of a plan, with its data."""
    kind: type = TASKS[plan.task]
    return kind(plan)
