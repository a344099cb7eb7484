"""The joint: attaches send and recv functions to tensors that cross between workers (see `rpc.joint.Joint`).

The mask of a message has one bit per tensor that requires grad (send_recv.pack_mask); bit NO_GRAD of its word says that
the sender records nothing.
"""

import warnings
from typing import Any

from nbgrad.autograd.anomaly import Trace, call_site, find_caller
from nbgrad.autograd.grad_mode import is_grad_enabled, set_enabled
from nbgrad.autograd.tensor import Tensor
from nbgrad.dist_autograd.context import Contexts, thread
from nbgrad.dist_autograd.send_recv import RecvRpcBackward, SendRpcBackward, pack_mask, unpack_mask
from nbgrad.errors import ContextError

NO_GRAD = 1 << 62
warned: set = set()  # call sites that have been told


class Joint:
    """Tensors in messages, for one agent."""

    def __init__(self, agent: Any, contexts: Contexts):
        self.agent, self.contexts = agent, contexts
        self.n_messages = 0
        self.prefix = agent.rank << 48

    def outgoing(self, tensors: Any, target: int, what: Any) -> tuple:
        """(arrays, context id, message id, mask) of a message; makes its send function."""
        context = thread.context
        mask, bit, edges = 0, 1, []
        for t in tensors:
            if t.requires_grad:
                mask |= bit
                edges.append((t.node or t, t.idx))
            bit <<= 1
        arrays, mask = pack_mask(tuple([t.array for t in tensors]), mask)
        recording = is_grad_enabled()
        if context is None:
            if (
                mask and recording and not hasattr(what, "may_run_for")
            ):  # (a result that goes back was recorded nowhere, too)
                self.warn_outside()
            return arrays, -1, 0, mask if recording else mask | NO_GRAD
        if target not in context.known:
            self.contexts.join(context, target)
        if not recording:
            return arrays, context.id, 0, mask | NO_GRAD
        if not mask:
            return arrays, context.id, 0, 0
        self.n_messages += 1
        message_id = self.prefix | self.n_messages
        send = SendRpcBackward(tuple(edges), message_id, target, what)
        if Trace.on and not hasattr(
            what, "may_run_for"
        ):  # (a result is sent by no line of the user's)
            send.site = call_site()
        context.sends[message_id] = send
        return arrays, context.id, message_id, mask

    def incoming(
        self, source: int, context_id: int, message_id: int, mask: int, arrays: tuple
    ) -> list:
        """Tensors of a message; those that require grad hang on one recv function."""
        mask &= ~NO_GRAD
        if not mask:
            return [Tensor(a) for a in arrays]
        arrays, mask = unpack_mask(arrays, mask)
        if not message_id:  # outside a context: leaves
            return [Tensor(a, bool(mask >> k & 1)) for k, a in enumerate(arrays)]
        context = self.contexts.get(context_id)
        if context is None:
            raise released(context_id)
        tensors: list = []
        like: list = []
        node = RecvRpcBackward(message_id, source, like)
        for a in arrays:
            if mask & 1:
                tensors.append(Tensor(a, True, node, len(like)))
                like.append((a.shape, a.dtype))
            else:
                tensors.append(Tensor(a))
            mask >>= 1
        node.n_outputs = len(like)
        context.recvs[message_id] = node
        return tensors

    def enter(self, context_id: int, mask: int) -> tuple:
        """A request begins on this thread, in its caller's context and mode; what `leave` restores."""
        previous = thread.context, set_enabled(not mask & NO_GRAD)
        if context_id >= 0:
            context = self.contexts.get(context_id)
            if context is None:
                set_enabled(previous[1])
                raise released(context_id)
            thread.context = context
        else:
            thread.context = None
        return previous

    def leave(self, previous: tuple) -> None:
        thread.context = previous[0]
        set_enabled(previous[1])

    def warn_outside(self) -> None:
        """A gradient is cut here: say so, once per call site of the user."""
        site = find_caller()
        if site not in warned and not site[0].endswith(
            "/threading.py"
        ):  # (a thread of nbgrad's own)
            warned.add(site)
            warnings.warn_explicit(
                "a tensor that requires grad was sent to another worker outside a distributed autograd context: the graph "
                "is cut here and no gradient will flow back. Wrap the call in `with nbgrad.dist_autograd.context()`, or "
                "detach the tensor",
                UserWarning,
                site[0],
                site[1],
            )


def released(context_id: int) -> ContextError:
    return ContextError(
        f"Couldn't find autograd context data for current autograd context id: {context_id}. The context was released "
        f"while this call was under way; wait for all futures before the `with` block ends."
    )
