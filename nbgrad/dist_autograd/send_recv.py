"""Send and recv functions: the two ends of a message in the graph.

sender   tensors ◄──edges── SendRpcBackward        RecvRpcBackward ◄──grad_fn── tensors   receiver
                                   ▲                      │
                                   └──── GRAD message ◄───┘        in the backward pass
"""

import time
from typing import Any

import numpy as np

from nbgrad.autograd.hooks import run_post, run_pre
from nbgrad.autograd.node import Node, next_seq
from nbgrad.autograd.node_name import Name
from nbgrad.errors import GraphError
from nbgrad.rpc.message import GRAD
from nbgrad.shm.binding import block_of
from nbgrad.shm.wire import SENT

SEND, RECV = Name("send_rpc"), Name("recv_rpc")
RETAIN = 1  # flag in h3 of a GRAD


class SendRpcBackward(Node):
    """The sender's end: its edges lead to the distinct tensors of the message that require grad, in order."""

    __slots__ = ("message_id", "target", "what")

    def __init__(self, edges: tuple, message_id: int, target: int, what: Any):
        self.vjp, self.residuals, self.edges, self.name = run_send, None, edges, SEND
        self.n_outputs, self.seq, self.hooks = len(edges), next_seq(), None
        self.message_id, self.target, self.what = message_id, target, what

    def __repr__(self) -> str:
        return "<SendRpcBackward>"


class RecvRpcBackward(Node):
    """The receiver's end: the `grad_fn` of all grad-requiring tensors of one message."""

    __slots__ = ("like", "message_id", "source")

    def __init__(self, message_id: int, source: int, like: list):
        self.vjp, self.residuals, self.edges, self.name = run_recv, None, (), RECV
        self.n_outputs, self.seq, self.hooks = len(like), next_seq(), None
        self.message_id, self.source = message_id, source
        self.like = like  # (shape, dtype) per slot, for the zeros of mode "fast"

    def __repr__(self) -> str:
        return "<RecvRpcBackward>"


def run_send(residuals: Any, g: Any) -> tuple:
    return tuple(g) if type(g) is list else (g,)


def run_recv(residuals: Any, g: Any) -> tuple:
    raise GraphError(
        "this result depends on a tensor that came from another worker, so loss.backward() can't follow its graph: "
        "call nbgrad.dist_autograd.backward(context_id, [loss]) inside the context in which the call was made"
    )


def run_send_hooks(send: SendRpcBackward, arrays: tuple, mask: int) -> tuple[tuple, int]:
    """(arrays, mask) of a gradient message after the hooks of its send function."""
    left = iter(arrays)
    given: list = [next(left) if mask >> slot & 1 else None for slot in range(send.n_outputs)]
    g = run_pre(send, given if send.n_outputs != 1 else given[0])
    given = run_post(send, g if type(g) is list else [g], g)
    mask = sum(1 << slot for slot, part in enumerate(given) if part is not None)
    return tuple([part for part in given if part is not None]), mask


def note_gradient(trace: Any, node: Node, agent: Any, pass_id: int, start_ns: int) -> None:
    """Tell a profile that a recv function has posted its gradient, or that a send function has got it."""
    names = agent.session.names
    if isinstance(node, RecvRpcBackward):
        kind, message_id, source, to = "send", node.message_id, agent.rank, node.source
    else:
        kind, message_id, source, to = "recv", node.message_id, node.target, agent.rank  # type: ignore[attr-defined]
    flow = f"gradient {pass_id:x}.{message_id:x}"
    trace(kind, f"gradient({names[source]} -> {names[to]})", start_ns, flow)


def stranger(source: str, context_id: int) -> GraphError:
    """What is wrong with a recv function that the pass's context does not have."""
    return GraphError(
        f"a result in this graph came from worker {source!r} in another autograd context than {context_id}: call backward "
        f"with the id of the context in which the call was made, before the end of its `with` block"
    )


def with_zeros(recv: RecvRpcBackward, g: Any) -> Any:
    """The original's explicit ones, for mode "fast": no slot is left out."""
    if g.__class__ is list:
        return [np.zeros(*like) if part is None else part for part, like in zip(g, recv.like)]
    return np.zeros(*recv.like[0]) if g is None else g


def pack_gradient(g: list) -> tuple[tuple, int]:
    """(arrays, mask) of a gradient message."""
    mask, bit, given = 0, 1, []
    for part in g:
        if part is not None:
            mask |= bit
            given.append(part)
        bit <<= 1
    return tuple(given), mask


# A message has one word for its mask of slots.  Where that has not enough bits, the mask goes as one more array.
WIDE = 1 << 61  # set: the last array is the mask


def pack_mask(arrays: tuple, mask: int) -> tuple[tuple, int]:
    """(arrays, word) for a mask of any number of bits."""
    if mask < WIDE:
        return arrays, mask
    bits = np.frombuffer(mask.to_bytes((mask.bit_length() + 7) // 8, "little"), np.uint8)
    return (*arrays, bits), WIDE


def unpack_mask(arrays: tuple, word: int) -> tuple[tuple, int]:
    """(arrays, mask) of what `pack_mask` gave."""
    if not word & WIDE:
        return arrays, word
    return arrays[:-1], int.from_bytes(arrays[-1].tobytes(), "little")


def post_gradient(part: Any, node: RecvRpcBackward, g: Any) -> None:
    """A recv function has all of its gradients: they go to its send."""
    part.node = node
    message_id, to, context = node.message_id, node.source, part.context
    if message_id not in context.recvs:
        raise stranger(part.agent.session.names[to], context.id)
    hooks = node.hooks
    if g.__class__ is list:
        arrays, mask = pack_gradient(g)
    else:
        arrays, mask = ((), 0) if g is None else ((g,), 1)
    if not mask:
        hooks = None
        if not part.fast:
            part.words.setdefault(to, []).append(-message_id)
            return
    if hooks is not None:
        g = part.hooked(run_pre, node, g)
    if hooks is not None or part.fast:
        given = with_zeros(node, g) if part.fast else g
        arrays, mask = pack_gradient(given if given.__class__ is list else [given])
    if mask >= WIDE:
        arrays, mask = pack_mask(arrays, mask)
    agent = part.agent
    trace = agent.trace
    start_ns = time.perf_counter_ns() if trace else 0
    flags = RETAIN if part.retain else 0
    row, pass_id, context_id = part.row, part.id, context.id
    if (
        to == agent.rank
        or agent.native_post(
            to, row, GRAD, pass_id, context_id, message_id, flags, mask, 0, arrays, None
        )
        != SENT
    ):
        agent.post(to, row, GRAD, pass_id, context_id, message_id, flags, mask, 0, arrays, None)
    if trace:
        note_gradient(trace, node, agent, pass_id, start_ns)
    # What only statistics want comes after what the other worker waits for.
    part.n_gradients += 1
    part.n_messages += 1
    for array in arrays:
        if array.base is not None and block_of(array):
            part.n_zero_copy += array.nbytes
        else:
            part.n_copied += array.nbytes
    if hooks is not None:
        part.hooked(run_post, node, (), g)
