"""Ctrl-C at each place where it may fall while the main thread waits: no lock, message or count is lost, and it is raised."""

import os
import signal
import sys
import threading
import time
from unittest import mock

import pytest

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.dist_autograd.part import Part
from nbgrad.rpc import interrupts, state
from nbgrad.rpc.interrupts import FORCE_S, FREE, HELD, OPEN, Hold
from nbgrad.rpc.message import GRAD, REPLY
from nbgrad.shm import words
from nbgrad.shm.layout import BUSY, FRONT
from tests.groups import eventually

LATE_S = 5.0  # a call whose reply is lost


def press():
    """Ctrl-C; the handler runs before this returns."""
    signal.raise_signal(signal.SIGINT)


class Once:
    """Ctrl-C at the first call of a function in the main thread, before it or after it."""

    def __init__(self, function, after=False, needs_result=False):
        self.function, self.after, self.needs_result = function, after, needs_result
        self.pressed = False

    def press(self):
        if not self.pressed and threading.current_thread() is threading.main_thread():
            self.pressed = True
            press()

    def __call__(self, *args):
        if not self.after:
            self.press()
        result = self.function(*args)
        if self.after and (result is not None or not self.needs_result):
            self.press()
        return result


class Role:
    """The role with Ctrl-C at one of its places."""

    def __init__(self, lock, place):
        self.acquire, self.release, self.locked = lock.acquire, lock.release, lock.locked
        name, when = place.split()
        setattr(self, name, Once(getattr(lock, name), when == "after"))


class KthEvent:
    """Ctrl-C at the k-th call or return, of Python or C, in what the main thread runs."""

    def __init__(self, k):
        self.left = k
        self.pressed = self.raised = False

    def run(self, function, *args):
        """Run it; None after KeyboardInterrupt."""
        try:
            sys.setprofile(self.note)
            try:
                return function(*args)
            finally:
                sys.setprofile(None)
        except KeyboardInterrupt:
            self.raised = True

    def note(self, frame, event, argument):
        self.left -= 1
        if self.left < 0 and not self.pressed:
            self.pressed = True
            press()


def is_whole(agent):
    """Nothing of a wait is left: role, counts of threads in front, state of the hold."""
    clean = interrupts.of_main.state == FREE and not interrupts.of_main.noted
    return clean and eventually(
        lambda: (
            not agent.role.locked()
            and words.load(agent.own + FRONT) == 0
            and words.load(agent.own + BUSY) == 0
        )
    )


def add_one(n):
    return n + 1


def wait_interrupted(future):
    """Whether KeyboardInterrupt comes from the wait."""
    try:
        future.wait()
    except KeyboardInterrupt:
        return True
    return False


# ------------------------------------------------------------ places of a wait


def at_place(place):
    agent = state.agent()
    future = rpc.rpc_async(1, add_one, (1,), timeout=LATE_S)
    if place == "take after":  # which has a message
        patch = mock.patch.object(agent, "take", Once(agent.take, after=True, needs_result=True))
    elif place.startswith("handler"):
        patch = mock.patch.dict(
            agent.handlers, {REPLY: Once(agent.handlers[REPLY], "after" in place)}
        )
    else:
        patch = mock.patch.object(agent, "role", Role(agent.role, place))
    with patch:
        raised = wait_interrupted(future)
    return raised, is_whole(agent), future.wait(), rpc.rpc_sync(1, add_one, (2,), timeout=LATE_S)


PLACES = ["acquire after", "release before", "release after", "take after", "handler before", "handler after"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_at_a_place_of_a_wait(group2, place):
    assert group2.call(at_place, place) == (True, True, 2, 3)


def at_every_event():
    """The wait for one reply, with Ctrl-C at its first, second ... event, until one wait has no more."""
    agent, wrong = state.agent(), []
    for k in range(2000):
        future = rpc.rpc_async(1, add_one, (k,), timeout=LATE_S)
        event = KthEvent(k)
        event.run(future.wait)
        if not event.pressed:
            return wrong, k
        if not (event.raised and is_whole(agent) and future.wait() == k + 1):
            wrong.append((k, event.raised, is_whole(agent)))
    return wrong, 0


def test_ctrl_c_between_any_two_calls_of_a_wait(group2):
    wrong, n_events = group2.call(at_every_event, deadline=60.0)
    assert wrong == []
    assert n_events > 20


def drained_at_every_event():
    agent, wrong = state.agent(), []
    for k in range(500):
        future = rpc.rpc_async(1, add_one, (k,), timeout=LATE_S)
        event = KthEvent(k)
        event.run(agent.drain)
        if not (event.raised == event.pressed and is_whole(agent) and future.wait() == k + 1):
            wrong.append((k, event.raised))
        if not event.pressed:
            return wrong, k
    return wrong, 0


def test_ctrl_c_between_any_two_calls_of_a_sender_that_makes_room(group2):
    wrong, n_events = group2.call(drained_at_every_event, deadline=60.0)
    assert wrong == []
    assert n_events > 5


# ------------------------------------------------------------ requests on the main thread


def call_back(function, n):
    return rpc.rpc_sync(0, function, (n,), timeout=LATE_S)


def pressed_inside(n):
    if threading.current_thread() is threading.main_thread():
        press()
    return n


def serve_interrupted(place):
    """The main thread serves, as inside shutdown(), and runs a request of worker 1."""
    agent = state.agent()
    function = pressed_inside if place == "inside" else add_one
    future = rpc.rpc_async(1, call_back, (function, 1), timeout=LATE_S)
    once = Once(agent.run)
    raised = False
    with (
        mock.patch.object(agent, "run", once)
        if place == "before"
        else mock.patch.object(agent, "spare", 0, create=True)
    ):
        try:
            while not future.finished:
                agent.wait(future, serving=True)
        except KeyboardInterrupt:
            raised = True
    error = None
    try:
        value = future.wait()
    except BaseException as failure:
        value, error = None, type(failure).__name__
    return raised, is_whole(agent), value, error


def test_a_request_in_hand_is_run_and_answered_before_ctrl_c_is_raised(group2):
    assert group2.call(serve_interrupted, "before") == (True, True, 2, None)


def test_ctrl_c_in_a_request_raises_there_at_once_and_its_caller_is_told(group2):
    raised, is_clean, value, error = group2.call(serve_interrupted, "inside")
    assert (raised, is_clean, value) == (True, True, None)
    assert error == "RemoteError"


# ------------------------------------------------------------ passes


def one_pass(run=None):
    """A pass over both workers, run by `run(backward, ...)`, which may interrupt it: the gradient, None after Ctrl-C."""
    x = nb.ones(2, requires_grad=True)
    with dist_autograd.context() as context_id:
        loss = rpc.rpc_sync(1, nb.add, (x, x)).sum()
        try:
            (run or apply)(dist_autograd.backward, context_id, [loss])
        except KeyboardInterrupt:
            return None
        found = dist_autograd.get_gradients(context_id)
        return found[x].tolist() if x in found else None


def apply(function, *args):
    return function(*args)


class Watched:
    """The parts that were made here meanwhile."""

    def __init__(self):
        self.parts = []
        self.real = Part.__init__

    def __enter__(self):
        watched = self

        def init(part, *arguments):
            watched.real(part, *arguments)
            watched.parts.append(part)

        Part.__init__ = init
        return self

    def __exit__(self, *error):
        Part.__init__ = self.real

    def are_free(self):
        return eventually(
            lambda: all(not part.busy.locked() and not part.queue for part in self.parts)
        )


def pass_at_place(place):
    agent = state.agent()
    if place == "gradient queued":
        patch = mock.patch.dict(agent.handlers, {GRAD: Once(agent.handlers[GRAD], after=True)})
    else:
        real = Once(Part.end_seed)
        patch = mock.patch.object(Part, "end_seed", lambda part: real(part))
    with Watched() as watched:
        with patch:
            found = one_pass()
        return found, watched.are_free(), is_whole(agent), one_pass()


@pytest.mark.parametrize("place", ["gradient queued", "seed ended"])
def test_ctrl_c_leaves_no_part_busy(group2, place):
    assert group2.call(pass_at_place, place) == (None, True, True, [2.0, 2.0])


def pass_at_every_event(first, last):
    agent, wrong = state.agent(), []
    n_rows = agent.engine.n_rows
    for k in range(first, last):
        event = KthEvent(k)
        with Watched() as watched:
            one_pass(event.run)
        if event.raised != event.pressed or not watched.are_free() or not is_whole(agent):
            wrong.append((k, event.raised))
        if not event.pressed:
            return wrong, agent.engine.n_rows - n_rows, k
    return wrong, agent.engine.n_rows - n_rows, 0


def test_ctrl_c_between_any_two_calls_of_a_pass(group2):
    wrong, n_rows, n_events = group2.call(pass_at_every_event, 0, 3000, deadline=120.0)
    assert wrong == []
    assert n_events > 100
    assert n_rows < 20  # rows of interrupted passes are used again
    assert group2.call(one_pass) == [2.0, 2.0]


# ------------------------------------------------------------ the handler


def test_a_second_ctrl_c_long_after_the_first_raises_wherever_it_falls(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    hold = Hold()
    hold.enter()
    hold.on_signal(2, None)
    now[0] += FORCE_S / 2
    hold.on_signal(2, None)  # a terminal and a supervisor may send one each
    now[0] += FORCE_S
    with pytest.raises(KeyboardInterrupt):
        hold.on_signal(2, None)
    assert not hold.noted


def test_user_code_called_by_what_holds_is_interrupted_and_then_it_holds_again():
    hold = Hold()
    hold.enter()
    hold.state = OPEN
    with pytest.raises(KeyboardInterrupt):
        hold.on_signal(2, None)
    assert hold.state == HELD


def test_what_holds_around_it_raises_later_but_a_wait_ends():
    hold = Hold()
    before = hold.enter()
    inner = hold.enter()
    hold.on_signal(2, None)
    hold.leave(inner)
    with pytest.raises(KeyboardInterrupt):
        hold.leave(inner, waited=True)
    hold.leave(before)
    assert hold.state == FREE


@pytest.fixture
def handler():
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_handler_takes_the_place_of_pythons_and_gives_it_back(handler):
    interrupts.install()
    assert signal.getsignal(signal.SIGINT) == interrupts.of_main.on_signal
    with pytest.raises(KeyboardInterrupt):
        press()
    interrupts.restore()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_users_own_stays(handler):
    noted = []
    own = lambda number, frame: noted.append(number)  # noqa: E731
    signal.signal(signal.SIGINT, own)
    interrupts.install()
    assert signal.getsignal(signal.SIGINT) is own
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.install()
    signal.signal(signal.SIGINT, own)  # set later
    interrupts.restore()
    assert signal.getsignal(signal.SIGINT) is own
    press()
    assert noted == [signal.SIGINT]


def test_no_handler_is_set_by_another_thread(handler):
    thread = threading.Thread(target=interrupts.install)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def waits_with_own_handler():
    """A handler of the user's own that raises ends a wait, as it did."""
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        future = rpc.rpc_async(1, wait_for, (0.5,))
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        return wait_interrupted(future), future.wait(), ours == interrupts.of_main.on_signal
    finally:
        signal.signal(signal.SIGINT, ours)


def wait_for(seconds):
    return threading.Event().wait(seconds)


def waits():
    future = rpc.rpc_async(1, wait_for, (2.0,))
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    raised = wait_interrupted(future)
    return raised, time.monotonic() - start, future.wait()


def test_ctrl_c_ends_a_wait_at_once(group2):
    raised, seconds, value = group2.call(waits)
    assert raised
    assert not value
    assert 0.05 < seconds < 1.5  # long before the reply, also on a busy machine


def test_a_handler_set_after_init_rpc_works(group2):
    assert group2.call(waits_with_own_handler) == (True, False, True)


def in_forked_child():
    """A child forked by a serving thread while the main thread waits holds nothing."""
    return rpc.rpc_sync(1, call_back, (fork_and_tell, 0))


def fork_and_tell(_):
    is_serving = threading.current_thread() is not threading.main_thread()
    held = interrupts.of_main.state
    child = os.fork()
    if child == 0:
        os._exit(interrupts.of_main.state + 10 * (interrupts.holder() is interrupts.of_main))
    return is_serving, held, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_holds_nothing(group2):
    assert group2.call(in_forked_child) == (True, HELD, 10 + FREE)
