"""The groups that other tests use: answers, errors, hangs with stacks, deaths, what is left over."""

import os
import signal
import threading
import time

import pytest

from nbgrad import dist_autograd, rpc
from tests.groups import eventually, fresh, group2, groups, on_all  # noqa: F401 - fixtures


def ranks():
    return on_all(rank)


def rank():
    return rpc.get_worker_info().id


def fail():
    raise KeyError("here", 1)


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__("odd")


def fail_oddly():
    raise Odd(1, 2)


def hang_at_this_very_place():
    time.sleep(100)


def end_hard():
    os.kill(os.getpid(), signal.SIGKILL)


def forget_context():
    dist_autograd._new_context()


def fail_in_a_thread():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def test_values_come_back(group2):
    assert group2.call(ranks) == [0, 1]


def test_errors_come_back_with_their_traceback(group2):
    with pytest.raises(KeyError) as caught:
        group2.call(fail)
    assert caught.value.args == ("here", 1)
    assert "in fail" in caught.value.__notes__[0]


def test_errors_that_can_not_be_pickled_come_back_as_text(group2):
    with pytest.raises(RuntimeError, match="fail_oddly"):
        group2.call(fail_oddly)


def test_a_hang_fails_with_the_stacks_of_all_workers(nothing_left):
    with fresh(2) as group:
        with pytest.raises(pytest.fail.Exception, match="hang_at_this_very_place") as caught:
            group.call(hang_at_this_very_place, deadline=0.3)
        assert "stacks of worker1" in str(caught.value)
        assert group.is_broken


def test_a_death_is_reported(nothing_left):
    with fresh(2) as group, pytest.raises(pytest.fail.Exception, match="SIGKILL"):
        group.call(end_hard)


def test_what_is_left_over_is_found(nothing_left):
    with fresh(2) as group:
        group.call(forget_context)
        with pytest.raises(pytest.fail.Exception, match="num_autograd_contexts"):
            group.check()


def test_a_thread_that_fails_is_found(nothing_left):
    with fresh(2) as group:
        group.call(fail_in_a_thread)
        with pytest.raises(pytest.fail.Exception, match="KeyError"):
            group.check()
        (group.folder / "errors of worker0").unlink()


def test_eventually_gives_up():
    assert eventually(lambda: True)
    assert not eventually(lambda: False, 0.01)
