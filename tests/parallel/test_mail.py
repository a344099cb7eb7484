"""Letters in one process: whatever comes first, the letter or who waits for it.  Between workers: test_pipeline.py."""

import pytest

import nbgrad as nb
from nbgrad.errors import BackwardError
from nbgrad.parallel import mail


@pytest.fixture
def number():
    yield 1000
    mail.close(1000)


def test_letters_wait_for_their_reader(number):
    mail.put(number, (0, "F", 1), (nb.ones(1),))
    mail.put(number, (0, "F", 0), (nb.zeros(1),))
    box = mail.box(number)
    assert [box.wait((0, "F", k), 0)[0].item() for k in range(2)] == [0.0, 1.0]
    assert not box.letters


def test_a_failure_ends_the_waits_of_its_step_only(number):
    mail.put(number, (1, "F", 0), (nb.ones(1),))
    mail.put_failure(number, 0, BackwardError("stage 1 is broken"))
    box = mail.box(number)
    with pytest.raises(BackwardError, match="stage 1 is broken"):
        box.wait((0, "F", 0), 1)
    assert box.wait((1, "F", 0), 1)[0].item() == 1.0
