"""Back-pressure: a caller waits while a worker has too many of its calls that it has not begun to run.

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
"""

import threading
import time
from typing import Any

from nbgrad.errors import RpcTimeout
from nbgrad.logs import logger
from nbgrad.rpc.future import describe
from nbgrad.shm import words
from nbgrad.shm.layout import BEGUN

LIMIT = 4096  # calls of one worker that lie unread or queued at another


class Backpressure:
    """The calls that one agent has sent, per callee."""

    def __init__(self, agent: Any, limit: int = LIMIT):
        self.agent, self.limit = agent, limit
        self.sent = [0] * agent.world
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

    def make_room(self, target: int, function: Any, timeout: float) -> None:
        """Return when one more call, of `function`, may be sent: Note [Room].

        Raises
        ------
        RpcTimeout
            After `timeout` seconds (0: never).
        WorkerDied
            If a worker ends meanwhile.
        """
        if not self.look(target, self.limit):
            start, names = time.monotonic(), self.agent.session.names
            room = Room(self, target, function, start + timeout if timeout > 0 else None)
            try:
                self.agent.wait(room)
            finally:
                seconds = time.monotonic() - start
                with self.lock:
                    self.n_waits[target] += 1
                    self.waited_s[target] += seconds
                logger.debug("waited %.3f s for %s", seconds, room.text)
            if not self.look(target, self.limit):
                what = describe((function, names[target]))
                raise RpcTimeout(
                    f"RPCErr:1:RPC ran for more than set timeout ({int(timeout * 1000)} ms) and will not be sent: {what} would "
                    f"be one more of {self.queued(target)} calls that this worker has not begun, and {self.limit} is the most "
                    f"(max_queued_calls in the options of init_rpc). It is slow or stuck: look at its rpc.statistics(), send "
                    f"less at a time, or give the call a longer timeout (0 waits for ever)."
                )

    def look(self, target: int, most: int) -> bool:
        """Whether fewer than `most` calls are queued there; notes the room that there is."""
        begun = self.begun(target)
        self.may_send[target] = begun + self.limit
        return self.sent[target] < begun + most


class Room:
    """Finished when a quarter of the limit is free again, or the time is over."""

    def __init__(self, pressure: Backpressure, target: int, function: Any, end: float | None):
        self.pressure, self.target, self.end = pressure, target, end
        self.text = f"room to send {describe((function, pressure.agent.session.names[target]))}"
        self.most = max(1, pressure.limit - pressure.limit // 4)
        self.targets = 1 << target

    @property
    def finished(self) -> bool:
        if self.pressure.look(self.target, self.most):
            return True
        return self.end is not None and time.monotonic() > self.end
