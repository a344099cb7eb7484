"""Message kinds are distinct and fit into the low byte."""

from nbgrad.rpc import message
from nbgrad.shm.record import N_HEADER


def test_kinds_are_distinct_and_leave_room_for_the_transfer():
    names = "CALL REPLY ERROR INTERN CHUNK RREF GRAD LETTER RELEASE FAILURE REPORT DROP_PASS"
    kinds = [getattr(message, name) for name in names.split()]
    assert len(set(kinds)) == len(kinds)
    assert all(0 < kind < 128 for kind in kinds)


def test_fields_follow_the_header():
    assert (message.SOURCE, message.KIND, message.H0) == (0, 1, 2)
    assert message.ARRAYS == message.H0 + N_HEADER
