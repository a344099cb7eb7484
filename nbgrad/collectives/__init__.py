"""Process groups and their collectives over shared memory, under the names of `torch.distributed`."""

from nbgrad.collectives.api import (
    all_gather,
    all_gather_into_tensor,
    all_reduce,
    barrier,
    broadcast,
    monitored_barrier,
    reduce,
)
from nbgrad.collectives.membership import (
    GroupMember,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
)
from nbgrad.collectives.moves import (
    all_to_all,
    all_to_all_single,
    gather,
    reduce_scatter,
    reduce_scatter_tensor,
    scatter,
)
from nbgrad.collectives.objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    scatter_object_list,
)
from nbgrad.collectives.point_to_point import (
    P2POp,
    batch_isend_irecv,
    irecv,
    isend,
    recv,
    send,
)
from nbgrad.collectives.process_group import ProcessGroup
from nbgrad.collectives.reducers import ReduceOp
from nbgrad.collectives.shared import all_reduce_shared
from nbgrad.collectives.work import Work
from nbgrad.collectives.world import destroy_process_group, init_process_group, new_group
