"""Desks: what the members' shared words say to one that waits in a step: who has not come, and what a death has left."""

from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.errors import ParametersTorn, WorkerDied
from nbgrad.parallel import step
from nbgrad.shm import words


class Desks:
    """The desks of all members, as one member sees them.

    Parameters
    ----------
    group : ProcessGroup
        The members.
    addresses : list of int
        Where their desks lie; see step.py.
    """

    def __init__(self, group: ProcessGroup, addresses: list[int]):
        self.group, self.addresses = group, addresses

    def word(self, member: int, offset: int) -> int:
        """A word of a member's desk."""
        return words.load(self.addresses[member] + offset)

    def is_late(self, member: int, number: int) -> bool:
        """Whether that member has not done its part of step `number`."""
        return self.word(member, step.STEP) < 2 * number + 2

    def look(self, number: int, waited: float) -> None:
        """At the end of a slice of waiting: deaths, members that will not come any more, the deadline.

        Raises
        ------
        ParametersTorn, WorkerDied
            If a worker has died; the first where it left its part of the parameters undone while others did theirs.
        ProcessGroupError, CollectiveTimeout
            If a member has left or given up, or did not come in time.
        """
        group, what = self.group, f"step {number} of SharedParameters"
        try:
            group.session.check(what)
        except WorkerDied as error:
            self.refuse_torn(number, error)
            raise
        for p in range(group.size()):
            if self.is_late(p, number):
                group.refuse_absent(p, what, lambda p=p: self.is_late(p, number))  # type: ignore[misc]
        if waited > group.timeout_s:
            late = [group.members[p] for p in range(group.size()) if self.is_late(p, number)]
            raise group.timeout(
                f"rank {group.members[group.me]} has waited {waited:.3g} s in {what}; not done by ranks {late}. All workers "
                f"must call step() equally often"
            )

    def refuse_torn(self, number: int, error: WorkerDied) -> None:
        """Raise where the dead worker left its slice unwritten while others wrote theirs.  Note [Shared step] S5."""
        group = self.group
        dead = group.members.index(error.rank) if error.rank in group.members else -1
        has_begun = any(self.word(p, step.STEP) > 2 * number for p in range(group.size()))
        if dead >= 0 and self.is_late(dead, number) and has_begun:
            raise ParametersTorn(
                f"worker {error.name!r} (rank {error.rank}) ended in step {number}, while parameters were written: some have "
                f"the values of before, some those of after, and some may be half-written. Go back to the last checkpoint"
            ) from error
