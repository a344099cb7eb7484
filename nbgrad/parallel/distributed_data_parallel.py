"""DistributedDataParallel: each worker trains its copy of a model on its own batches, with averaged gradients."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from nbgrad.autograd import Tensor
from nbgrad.autograd.engine import reach
from nbgrad.autograd.grad_mode import is_grad_enabled
from nbgrad.collectives import api
from nbgrad.collectives.membership import chosen_group
from nbgrad.collectives.operation import Kind
from nbgrad.collectives.world import agree, finish, new_group_of
from nbgrad.dist_autograd.after import after_pass
from nbgrad.errors import DesyncError, DtypeError, ProcessGroupError
from nbgrad.nn import Module
from nbgrad.parallel.agreement import refuse_differences
from nbgrad.parallel.placement import place
from nbgrad.parallel.reducer import Reducer

MB = 1 << 20
BUCKET_MB = 25.0


class DistributedDataParallel(Module):
    """A module whose backward averages gradients over all workers; PyTorch's class of that name.

    Parameters
    ----------
    module : Module
        The model; its parameters and buffers get the values of the first worker.
    broadcast_buffers : bool
        Whether buffers (running means) get the first worker's values in each forward whose backward averages.
    init_sync : bool
        Whether parameters and buffers are made the same now.
    process_group : ProcessGroup, optional
        The workers; the default group.
    bucket_cap_mb : float, optional
        Megabytes of gradients that are summed at once; 25 by default.
    find_unused_parameters : bool
        Look, after each forward, which parameters its results do not depend on, so that buckets with such parameters need
        not wait for the end of the pass.  Results are right without it, too.
    gradient_as_bucket_view : bool
        Let `.grad` show the shared average itself, which saves a copy; in-place operations on it make one.  What shares its
        memory (`p.grad.detach()`) shows the next step's average from the next backward on.
    device_ids, output_device, dim, check_reduction, static_graph
        Accepted; without a meaning here.

    Raises
    ------
    DesyncError
        If workers have different models.
    DtypeError
        If no parameter is trained.

    Notes
    -----
    The average is over all workers, added in their order, so all have the same bits.  Every backward pass outside of
    `no_sync()` that follows a forward of this module takes part; all workers must run equally many, or use `join()`.
    So does a pass of `dist_autograd.backward` that the worker of this module calls: the averages are in `get_gradients`.
    `ddp.state_dict()` has the prefix "module." before each name, as PyTorch's has; that of the plain model is
    `ddp.module.state_dict()`.

    Examples
    --------
    >>> import nbgrad as nb
    >>> import nbgrad.distributed as dist
    >>> dist.init_process_group(init_method="tcp://127.0.0.1:29600", rank=0, world_size=1)
    >>> ddp = nb.nn.parallel.DistributedDataParallel(nb.nn.Linear(2, 1))
    >>> ddp(nb.ones(3, 2)).sum().backward()
    >>> ddp.module.weight.grad
    tensor([[3., 3.]])
    >>> list(ddp.state_dict())
    ['module.weight', 'module.bias']
    >>> dist.destroy_process_group()
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        init_sync: bool = True,
        process_group: Any = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
    ):
        super().__init__()
        pg = chosen_group(process_group)
        if pg is None:
            raise ProcessGroupError(
                "DistributedDataParallel: this process is not in the process group"
            )
        trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if not trained:
            raise DtypeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameters that require a gradient."
            )
        self.module = module
        self.broadcast_buffers = broadcast_buffers
        self.find_unused_parameters = find_unused_parameters
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.require_backward_grad_sync = True
        lines = [f"{name} of shape {tuple(p.shape)}, {p.dtype}" for name, p in trained]
        refuse_differences(pg, "the parameters of the model", lines)
        self.process_group = new_group_of(pg, Kind.agreement)
        self.placement = place(pg)
        self.joining: Joining | None = None
        try:
            if init_sync:
                self.broadcast([*module.parameters(), *module.buffers()], 0)
            bucket_bytes = int((BUCKET_MB if bucket_cap_mb is None else bucket_cap_mb) * MB)
            by_dtype: dict[np.dtype, list[Tensor]] = {}
            for _, p in trained:
                by_dtype.setdefault(p.dtype, []).append(p)
            self.reducers = [
                Reducer(self.process_group, params, bucket_bytes, gradient_as_bucket_view)
                for params in by_dtype.values()
            ]
            for reducer in self.reducers:
                reducer.peers = self.reducers
        except BaseException:
            finish(self.process_group)
            raise
        after_pass(self.average)

    def average(self, gradients: dict) -> None:
        """Average what a distributed pass has found here, {leaf: gradient}, if it is the pass of a forward of this module."""
        armed = [reducer for reducer in self.reducers if reducer.is_armed]
        if any(p in gradients for reducer in armed for p in reducer.params):
            for reducer in armed:
                reducer.average(gradients)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        is_averaged = is_grad_enabled() and self.require_backward_grad_sync
        scale = 1.0
        if is_averaged:
            source = 0
            if self.joining is not None:
                source, scale = self.joining.meet(True)
            if self.broadcast_buffers:
                self.broadcast(list(self.module.buffers()), source)
        result = self.module(*inputs, **kwargs)
        if is_averaged:
            reached = leaves_below(result) if self.find_unused_parameters else None
            for reducer in self.reducers:
                unused = () if reached is None else missing(reducer.params, reached)
                reducer.arm(unused, scale)
        return result

    def broadcast(self, tensors: list, source: int) -> None:
        """Give all workers the values of the member `source`."""
        for tensor in tensors:
            api.broadcast(tensor, group=self.process_group, group_src=source)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Forwards in here have backward passes that add to this worker's gradients only.

        The first backward of a forward after it averages what has been added up.
        """
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    @contextlib.contextmanager
    def join(
        self,
        divide_by_initial_world_size: bool = True,
        enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Iterator[None]:
        """Train with workers that have unequally many batches: who has no more takes part with gradients of zero.

        At the end all have the parameters of those who trained longest.

        Parameters
        ----------
        divide_by_initial_world_size : bool
            Average over all workers, or over those who still have batches.
        enable : bool
            Whether to do anything.
        throw_on_early_termination : bool
            Raise on all workers instead, as soon as one has no more.

        Raises
        ------
        DesyncError
            If asked for.
        """
        if not enable:
            yield
            return
        self.joining = joining = Joining(
            self, divide_by_initial_world_size, throw_on_early_termination
        )
        try:
            yield
            while joining.meet(False)[0] >= 0:
                if self.broadcast_buffers:
                    self.broadcast(list(self.module.buffers()), joining.source)
                for reducer in self.reducers:
                    reducer.shadow()
            if joining.source >= 0:
                self.broadcast([*self.module.parameters(), *self.module.buffers()], joining.source)
        finally:
            self.joining = None

    def close(self) -> None:
        """End averaging; the module goes on alone."""
        for reducer in self.reducers:
            reducer.close()
        finish(self.process_group)


class Joining:
    """Who still has batches, in a `join()`."""

    def __init__(self, ddp: DistributedDataParallel, divides_by_all: bool, throws: bool):
        self.group, self.divides_by_all, self.throws = ddp.process_group, divides_by_all, throws
        self.source = -1  # the first member that had a batch in the last step

    def meet(self, has_batch: bool) -> tuple[int, float]:
        """Tell each other who has a batch: the first who has, or -1, and the factor of averages."""
        rows = agree(self.group, Kind.agreement, [int(has_batch)])[:, 0]
        n = int(rows.sum())
        if self.throws and n < len(rows):
            raise DesyncError(
                f"Detected at least one rank that exhausted inputs. Throwing across all ranks. Ranks without a batch: "
                f"{[self.group.members[p] for p in np.flatnonzero(rows == 0)]}"
            )
        if n == 0:
            return -1, 1.0
        self.source = int(rows.argmax())
        return self.source, 1.0 if self.divides_by_all else len(rows) / n


def tensors_in(result: Any) -> list[Tensor]:
    """The tensors of a forward's result: alone, or in tuples, lists and dicts."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        return [tensor for part in result for tensor in tensors_in(part)]
    return []


def leaves_below(result: Any) -> set[int]:
    """Ids of the leaves that the results depend on."""
    found = set()
    roots = tensors_in(result)
    for root in roots:
        found.add(id(root))
    for node in reach(roots, {}):
        found.update(id(edge[0]) for edge in node.edges if edge is not None)
    return found


def missing(params: list[Tensor], reached: set[int]) -> list[int]:
    """Numbers of the parameters that are not among them."""
    return [k for k, p in enumerate(params) if id(p) not in reached]
