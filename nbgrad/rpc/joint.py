"""Joint: where `dist_autograd` takes part in messages; here, nothing does."""

from typing import Any


class Joint:
    """What `dist_autograd` adds to messages; this one adds nothing."""

    def outgoing(self, tensors: Any, target: int, what: Any) -> tuple:
        return (), -1, 0, 0

    def incoming(
        self, source: int, context_id: int, message_id: int, mask: int, arrays: tuple
    ) -> list:
        return list(arrays)

    def enter(self, context_id: int, mask: int) -> Any:
        return None

    def leave(self, previous: Any) -> None:
        pass
