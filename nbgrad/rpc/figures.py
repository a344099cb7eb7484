"""Figures: what the RPC layer of this worker counts, as data; `str()` of it is a table."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from nbgrad.rpc import state
from nbgrad.rpc.trust import register
from nbgrad.shm import words
from nbgrad.shm.layout import BEGUN


@register
@dataclass(frozen=True)
class PeerStatistics:
    """Between this worker and one other (or itself), since `init_rpc`.

    Attributes
    ----------
    name, rank : str, int
        The other worker.
    calls : int
        Calls sent to it (`rpc_sync`, `rpc_async`, `remote`, and what `to_here` and the like send).
    in_flight : int
        Of these, calls without an answer yet.
    queued : int
        Of these, calls that lie unread or queued there: at most `max_queued_calls` of the options of `init_rpc`.
    served : int
        Its calls that have begun to run here.
    messages : int
        Messages of all kinds posted to it, gradients too; none to oneself.
    bytes_copied, bytes_zero_copy : int
        Bytes of arrays in these, copied through the ring or left in place in shared memory.
    backpressure_waits : int
        How often a caller had to wait, since too many calls or bytes were queued there.
    backpressure_wait_s : float
        How long in total, in seconds.
    queued_bytes : int
        Bytes in queued calls of 64 KiB and more: at most `max_queued_bytes` of the options of `init_rpc`, or one call.
    """

    name: str
    rank: int
    calls: int
    in_flight: int
    queued: int
    served: int
    messages: int
    bytes_copied: int
    bytes_zero_copy: int
    backpressure_waits: int
    backpressure_wait_s: float
    queued_bytes: int


@register
@dataclass(frozen=True)
class Statistics:
    """What this worker's RPC layer has done since `init_rpc`, and what it is doing.

    Attributes
    ----------
    name, rank : str, int
        This worker.
    peers : tuple of PeerStatistics
        By rank, this worker included.
    queue : int
        Calls that have been read here and wait for a thread.
    backlog : int
        Messages of all kinds that have been read here and not looked at.
    threads, threads_idle, threads_waiting : int
        Threads that serve requests; of these, without work, and inside a call that waits for another worker.
    rrefs_owned, rrefs_held : int
        Values that this worker owns for RRefs anywhere, and RRef objects alive in this process.

    The sums over all peers of `PeerStatistics` go by the same names: calls, in_flight, queued, served, messages,
    bytes_copied, bytes_zero_copy, backpressure_waits, backpressure_wait_s, queued_bytes.
    """

    name: str
    rank: int
    peers: tuple[PeerStatistics, ...]
    queue: int
    backlog: int
    threads: int
    threads_idle: int
    threads_waiting: int
    rrefs_owned: int
    rrefs_held: int

    @property
    def calls(self) -> int:
        return sum(peer.calls for peer in self.peers)

    @property
    def in_flight(self) -> int:
        return sum(peer.in_flight for peer in self.peers)

    @property
    def queued(self) -> int:
        return sum(peer.queued for peer in self.peers)

    @property
    def served(self) -> int:
        return sum(peer.served for peer in self.peers)

    @property
    def messages(self) -> int:
        return sum(peer.messages for peer in self.peers)

    @property
    def bytes_copied(self) -> int:
        return sum(peer.bytes_copied for peer in self.peers)

    @property
    def bytes_zero_copy(self) -> int:
        return sum(peer.bytes_zero_copy for peer in self.peers)

    @property
    def backpressure_waits(self) -> int:
        return sum(peer.backpressure_waits for peer in self.peers)

    @property
    def backpressure_wait_s(self) -> float:
        return sum(peer.backpressure_wait_s for peer in self.peers)

    @property
    def queued_bytes(self) -> int:
        return sum(peer.queued_bytes for peer in self.peers)

    def __str__(self) -> str:
        """A line of totals, and a table with one row per peer."""
        rows = [
            (
                "peer",
                "calls",
                "in flight",
                "queued",
                "served",
                "messages",
                "MB copied",
                "MB in place",
                "waits",
                "waited s",
                "MB queued",
            )
        ]
        for peer in self.peers:
            rows.append((
                peer.name, str(peer.calls), str(peer.in_flight), str(peer.queued), str(peer.served),
                str(peer.messages), f"{peer.bytes_copied / 1e6:.1f}", f"{peer.bytes_zero_copy / 1e6:.1f}",
                str(peer.backpressure_waits), f"{peer.backpressure_wait_s:.3g}", f"{peer.queued_bytes / 1e6:.1f}",
            ))  # fmt: skip
        widths = [max(map(len, column)) for column in zip(*rows)]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows]
        head = (
            f"{self.name} (rank {self.rank}): {self.queue} calls and {self.backlog} messages wait here; {self.threads} threads "
            f"({self.threads_idle} idle, {self.threads_waiting} in nested calls); RRefs: {self.rrefs_owned} owned, "
            f"{self.rrefs_held} held"
        )
        return "\n".join([head, *table])


@register
def statistics() -> Statistics:
    """What this worker's RPC layer has done and is doing, per peer.

    Counted without a lock while other threads go on, so figures of one answer may be a call apart.

    Raises
    ------
    RpcError
        Before `init_rpc` and after `shutdown`.
    """
    agent = state.agent()
    serving, rrefs = agent.serving, agent.rrefs
    in_flight = Counter(future.targets for future in list(agent.futures.values()))
    return Statistics(
        name=agent.session.name,
        rank=agent.rank,
        peers=tuple([peer(agent, rank, in_flight[1 << rank]) for rank in range(agent.world)]),
        queue=len(serving.queue),
        backlog=len(agent.backlog),
        threads=serving.n_threads,
        threads_idle=serving.n_idle,
        threads_waiting=serving.n_waiting,
        rrefs_owned=len(rrefs.values),
        rrefs_held=rrefs.n_held(),
    )


def peer(agent: Any, rank: int, in_flight: int) -> PeerStatistics:
    """The figures of one peer."""
    pressure = agent.calls.pressure
    messages, copied, zero_copy = agent.binding.sent_to(rank)
    return PeerStatistics(
        name=agent.session.names[rank],
        rank=rank,
        calls=pressure.sent[rank],
        in_flight=in_flight,
        queued=pressure.queued(rank),
        served=words.load(agent.own + BEGUN + 8 * rank),
        messages=messages,
        bytes_copied=copied,
        bytes_zero_copy=zero_copy,
        backpressure_waits=pressure.n_waits[rank],
        backpressure_wait_s=pressure.waited_s[rank],
        queued_bytes=pressure.queued_bytes(rank),
    )
