"""Back-pressure: a caller waits while a worker has not begun to run too many of its calls, or too many bytes in them.

Note [Room]
~~~~~~~~~~~
The callee's block has a word per caller: how many calls of that caller have begun to run there.  The caller counts what it
has sent, and looks at the word only when it has used up the room that it saw last.
Assumes  a call is counted as sent once it is posted, and as begun once, by the thread that runs it, whatever becomes of it.
K1 (bounded)      at most `limit` calls of a caller, and one more per thread that sends at the same moment, lie in the ring
                  and in the queues of a callee.  A call that has begun holds a thread or a Future there, and no room.
K2 (no deadlock)  a caller waits until queued calls begin, never until one ends: a callee has, or is starting, a thread
                  for the head of its queue, however long the calls before it block (Note [Serving] S1).  So neither nested
                  calls nor ones that answer later can wait for room that only they themselves would make.
K3 (exempt)       replies, gradients and control messages never wait: each belongs to a call or a pass that was counted.
K4 (bytes)        calls with `HEAVY` bytes and more are also weighed: another one is sent when all that is queued, and itself,
                  are at most `most_bytes`, or nothing is queued.  Calls begin in about the order in which they were sent, so the
                  caller alone keeps the account: the n-th call and all before it have begun when n have.  Lighter calls
                  are bounded by their number: 4,096 of less than 64 KiB are less than 256 MiB.
"""

import threading
import time
from collections import deque
from typing import Any

from nbgrad.errors import RpcTimeout
from nbgrad.logs import logger
from nbgrad.rpc.future import describe, timeout_error
from nbgrad.rpc.hung import stopped
from nbgrad.shm import words
from nbgrad.shm.layout import BEGUN

LIMIT = 4096  # calls of one worker that lie unread or queued at another
HEAVY, MOST_BYTES = 1 << 16, 1 << 28  # bytes of a call that is weighed, and of all of these


class Backpressure:
    """The calls that one agent has sent, per callee."""

    def __init__(self, agent: Any, limit: int = LIMIT, most_bytes: int = MOST_BYTES):
        self.agent, self.limit, self.most_bytes = agent, limit, most_bytes
        self.sent = [0] * agent.world
        self.heavy: list = [deque() for _ in range(agent.world)]  # (number of the call, bytes)
        self.bytes_sent = [0] * agent.world  # the sum of these
        self.may_send = [limit] * agent.world  # counts up to which nobody needs to look
        self.n_waits = [0] * agent.world
        self.waited_s = [0.0] * agent.world
        self.lock = threading.Lock()

    def begun(self, target: int) -> int:
        """How many of this worker's calls have begun to run there."""
        agent = self.agent
        return words.load(agent.binding.worker(target) + BEGUN + 8 * agent.rank)

    def queued(self, target: int) -> int:
        """How many have been sent and not begun."""
        return max(0, self.sent[target] - self.begun(target))

    def weigh(self, target: int, n_bytes: int) -> None:
        """A heavy call has been sent."""
        with self.lock:
            self.heavy[target].append((self.sent[target], n_bytes))
            self.bytes_sent[target] += n_bytes

    def queued_bytes(self, target: int) -> int:
        """Bytes in heavy calls that have been sent and not begun: K4."""
        heavy = self.heavy[target]
        if not heavy:
            return 0
        begun = self.begun(target)
        with self.lock:
            while heavy and heavy[0][0] <= begun:
                self.bytes_sent[target] -= heavy.popleft()[1]
            return self.bytes_sent[target]

    def fits(self, target: int, n_bytes: int) -> bool:
        """Whether one more call of so many bytes (0: of whatever weight) may be sent."""
        if n_bytes == 0:
            return self.look(target, self.limit)
        queued = self.queued_bytes(target)
        return queued == 0 or queued + n_bytes <= self.most_bytes

    def make_room(self, target: int, function: Any, timeout: float, n_bytes: int = 0) -> None:
        """Return when one more call, of `function`, may be sent: Note [Room].  n_bytes: 0, or of a heavy one.

        Raises
        ------
        RpcTimeout
            After `timeout` seconds (0: never).
        WorkerDied
            If a worker ends meanwhile.
        """
        if not self.fits(target, n_bytes):
            start = time.monotonic()
            room = Room(self, target, function, start + timeout if timeout > 0 else None, n_bytes)
            try:
                while not self.fits(target, n_bytes):  # another thread may take what came free
                    if room.is_late:
                        raise self.lateness(target, function, timeout, n_bytes)
                    self.agent.wait(room)
            finally:
                seconds = time.monotonic() - start
                with self.lock:
                    self.n_waits[target] += 1
                    self.waited_s[target] += seconds
                logger.debug("waited %.3f s for %s", seconds, room.text)

    def lateness(self, target: int, function: Any, timeout: float, n_bytes: int) -> RpcTimeout:
        what = describe((function, self.agent.session.names[target]))
        if n_bytes:
            queued = f"{self.queued_bytes(target):,} bytes in calls"
            why = f"add {n_bytes:,} bytes to {queued} that this worker has not begun, and {self.most_bytes:,} is the most"
            option = "max_queued_bytes"
        else:
            why = f"be one more of {self.queued(target)} calls that this worker has not begun, and {self.limit} is the most"
            option = "max_queued_calls"
        return timeout_error(
            f"RPCErr:1:RPC ran for more than set timeout ({int(timeout * 1000)} ms) and will not be sent: {what} would {why} "
            f"({option} in the options of init_rpc). It is slow or stuck: look at its rpc.statistics(), send less at a time, or "
            f"give the call a longer timeout (0 waits for ever).",
            stopped(self.agent.session),
        )

    def look(self, target: int, most: int) -> bool:
        """Whether fewer than `most` calls are queued there; notes the room that there is."""
        begun = self.begun(target)
        self.may_send[target] = begun + self.limit
        return self.sent[target] < begun + most


class Room:
    """Finished when a quarter of the limit is free again, or the heavy call fits, or the time is over."""

    def __init__(
        self, pressure: Backpressure, target: int, function: Any, end: float | None, n_bytes: int
    ):
        self.pressure, self.target, self.end, self.n_bytes = pressure, target, end, n_bytes
        self.text = f"room to send {describe((function, pressure.agent.session.names[target]))}"
        self.most = max(1, pressure.limit - pressure.limit // 4)
        self.targets = 1 << target

    @property
    def finished(self) -> bool:
        if self.n_bytes:
            has_room = self.pressure.fits(self.target, self.n_bytes)
        else:
            has_room = self.pressure.look(self.target, self.most)
        return has_room or self.is_late

    @property
    def is_late(self) -> bool:
        """Whether the time is over."""
        return self.end is not None and time.monotonic() > self.end
