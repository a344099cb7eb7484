"""The settle round under many schedules: unused and lost results; and the bugs that it invites, each planted and found."""

import pytest

from nbgrad.dist_autograd import settle
from nbgrad.dist_autograd.part import Part
from tests.simulation.explore import hammer
from tests.simulation.machine import Failure
from tests.simulation.programs import CONSTANTS, random_passes
from tests.simulation.source import Patch

LOST = random_passes(3, 20, lost=0.15)
MANY = random_passes(4, 26, lost=0.1)

PLANTED = {  # Note [Settle]: what is broken -> patches
    "S1: a recv that never came is not answered for": [
        Patch(settle.is_outside, "or recv in part.table", "or recv is None or recv in part.table")
    ],
    "S1: only touched workers are asked": [
        Patch(
            settle.take_part,
            "in part.snapshot.keys() - part.served:",
            "in [m for m in part.snapshot.keys() - part.served if "
            "ledger.touched(part.row) >> part.snapshot[m].target & 1]:",
        )
    ],
    "S1: a recv that was told there is nothing does not pass it on": [
        Patch(Part.drain, "if self.words:", "if False:")
    ],
    "S1: a worker that is first touched by a gradient in the round does not ask": [
        Patch(Part.handle, "if self.is_silent:", "if False:")
    ],
    "S2: a word for a recv that is part of the pass": [
        Patch(settle.is_outside, " or recv in part.table", "")
    ],
    "S2: what was said is not remembered": [
        Patch(settle.is_outside, "message_id in part.declared or recv", "recv")
    ],
}


@pytest.mark.parametrize("program", [LOST, MANY], ids=["lost", "many"])
def test_rounds_end_with_the_gradients_of_one_process(program):
    print(hammer(program, range(60), slices=True, constants=CONSTANTS))


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_bug_is_found(what):
    with pytest.raises(Failure) as found:
        hammer(LOST, range(300), patches=PLANTED[what], slices=True, constants=CONSTANTS)
    print(found.value)
