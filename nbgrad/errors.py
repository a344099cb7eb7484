"""Every exception of nbgrad: one class per thing that a caller can react to.

Each is a `NbgradError` and also a subclass of the built-in class that PyTorch raises in the same
place, so `except RuntimeError` of a ported program keeps working.
"""


class NbgradError(Exception):
    """Base of all errors that nbgrad raises on purpose."""


# ---------------------------------------------------------------- tensors and their graph


class ShapeError(NbgradError, ValueError, RuntimeError):
    """Shapes, sizes or numbers of elements do not fit together."""


class DtypeError(NbgradError, TypeError, RuntimeError):
    """A value has a dtype or a type that the operation does not take."""


class GraphError(NbgradError, RuntimeError):
    """The graph can't be used like this: released, not recorded, or a leaf written in place."""


class NonFiniteError(NbgradError, RuntimeError):
    """A value or a gradient is NaN or infinite where a finite one is needed."""


class GradcheckError(NbgradError, RuntimeError):
    """A gradient differs from finite differences."""


# ---------------------------------------------------------------- the group and its workers


class StartupError(NbgradError, RuntimeError):
    """A group of workers could not start: a rank is missing, or the platform lacks something."""


class WorkerDied(NbgradError, RuntimeError):
    """A worker process has ended while others still need it; the message names it."""

    rank: int = -1
    name: str = ""
    pid: int = 0
    exitcode: int | None = None  # as multiprocessing's: minus the signal; None if nobody could tell


class ProcessException(NbgradError):
    """A process that `spawn` started has failed: the base of both ways to fail."""

    def __init__(self, message: str, error_index: int, pid: int) -> None:
        super().__init__(message)
        self.message, self.error_index, self.error_pid = message, error_index, pid

    def __reduce__(self) -> tuple:
        return type(self), (self.message, self.error_index, self.error_pid)


class ProcessRaisedException(ProcessException):
    """A function that `spawn` started has raised; the message holds its traceback."""


class ProcessExitedException(ProcessException):
    """A process that `spawn` started was killed, or exited with a code that is not 0."""

    def __init__(
        self,
        message: str,
        error_index: int,
        pid: int,
        exit_code: int,
        signal_name: str | None = None,
    ) -> None:
        super().__init__(message, error_index, pid)
        self.exit_code, self.signal_name = exit_code, signal_name

    def __reduce__(self) -> tuple:
        plain = (self.message, self.error_index, self.error_pid, self.exit_code, self.signal_name)
        return type(self), plain


class ForkedProcessError(NbgradError, RuntimeError):
    """A process forked from a worker used the worker's group, which only the worker itself may."""


class ProcessGroupError(NbgradError, ValueError, RuntimeError):
    """A process group is used where it can't be: not initialized, twice, after its end, or by a worker outside of it."""


class CollectiveTimeout(NbgradError, RuntimeError, TimeoutError):
    """Not all members of a process group came to a collective in time; the message names who is missing."""


class SharedMemoryFull(NbgradError, OSError, RuntimeError):
    """No shared memory of the size asked for is left."""


class ProtocolError(NbgradError, RuntimeError):
    """Shared memory holds what the protocol never writes: a bug, or memory written over."""


# ---------------------------------------------------------------- remote calls


class RpcError(NbgradError, RuntimeError):
    """The RPC layer is used where it can't be: not initialized, twice, or with an unknown worker."""


class RpcNameError(RpcError, ValueError):
    """A name that no worker can have."""


class FunctionNotFound(RpcError, AttributeError):
    """A function that a call names does not exist on the worker that should run it."""


class RemoteError(NbgradError, RuntimeError):
    """A function that ran on another worker raised; carries the remote traceback."""


class RpcTimeout(NbgradError, RuntimeError, TimeoutError):
    """A remote call took longer than its timeout."""


class WorkerHung(RpcTimeout):
    """A timeout whose cause is known: a worker that is waited for lives, and is stopped; the message names it."""


class MemberHung(CollectiveTimeout, WorkerHung):
    """The same in a collective: who has not come in time is stopped, or waits for a worker that is."""


class RpcEncodeError(NbgradError, RuntimeError, TypeError):
    """An argument or a result of a remote call can't be sent to another process."""


class NotRegistered(NbgradError, RuntimeError, PermissionError):
    """A function or class that a group of trust "registered" does not let other workers use."""


class MessageTooLarge(NbgradError, RuntimeError, ValueError):
    """A message does not fit into the ring between two workers."""


class RRefError(NbgradError, RuntimeError):
    """A remote reference is used where it can't be: on another worker, or after its group."""


# ---------------------------------------------------------------- distributed backward passes


class ContextError(NbgradError, RuntimeError):
    """A distributed autograd context does not exist, or is not active, on this worker."""


class BackwardError(NbgradError, RuntimeError):
    """A backward pass failed; names worker and op, and comes from the original exception."""


class FastModeError(NbgradError, RuntimeError):
    """A result of a remote call had no part in the loss of a pass in mode "fast"."""


class DesyncError(NbgradError, RuntimeError):
    """Workers that must take the same steps have taken different ones."""


class ParametersTorn(NbgradError, RuntimeError):
    """Shared parameters were left half-updated, by a worker that ended while it wrote them."""


# ---------------------------------------------------------------- data and checkpoints


class CheckpointError(NbgradError, RuntimeError):
    """A checkpoint can't be loaded: damaged, of another kind of run, or not there."""


class LoaderError(NbgradError, RuntimeError):
    """A worker process of a DataLoader has ended, or has not answered in time."""
