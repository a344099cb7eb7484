"""Segment: a large sparse range of shared memory, of which chunks are committed before first use.

Two backings.  *Inherited*: a memfd passed by descriptor; it has no name, so nothing is left whoever is killed, and
/dev/shm's size does not matter.  *Named*: a file of /dev/shm (as `multiprocessing.shared_memory` makes them) for
workers started by somebody else, which meet by a name; mode 0600, unlinked by its owner, never known to Python's
resource tracker (on 3.11 that unlinks live segments when another process ends).
"""

import ctypes
import errno
import fcntl
import mmap
import os
import threading

from nbgrad.errors import SharedMemoryFull, StartupError

SHM = "/dev/shm"
PREFIX = "nbgrad-"
F_ADD_SEALS, SEALS = 1033, 0x1 | 0x2 | 0x4  # no more seals, no shrinking, no growing
CHUNK = 1 << 24
RESERVE = (
    1 << 28
)  # memory that is left to everybody else: without any, the kernel kills the largest process
MAP_FIXED, MAP_NORESERVE, MAP_FAILED = 0x10, 0x4000, (1 << 64) - 1

# Not Python's mmap: its object would unmap at interpreter exit, below arrays that are still being freed.
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_size_t
libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
libc.munmap.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
libc.madvise.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]


class Segment:
    """`size_bytes` of shared memory at `address` in this process; nothing is committed at first."""

    def __init__(
        self, descriptor: int, size_bytes: int, name: str | None = None, owner: bool = False
    ):
        self.descriptor, self.size_bytes, self.name, self.owner = (
            descriptor,
            size_bytes,
            name,
            owner,
        )
        self.address = libc.mmap(
            None, size_bytes, 0x3, mmap.MAP_SHARED | MAP_NORESERVE, descriptor, 0
        )
        if self.address == MAP_FAILED:
            raise StartupError(
                f"can't map {size_bytes >> 30} GiB of address space for the group ({os.strerror(ctypes.get_errno())}); is "
                f"there a limit on virtual memory (ulimit -v)? Only pages in use take memory: raise the limit, or start "
                f"fewer workers."
            )
        libc.madvise(self.address, size_bytes, mmap.MADV_DONTDUMP)
        self.lock = threading.RLock()  # a finalizer may need memory, too

    @classmethod
    def inherited(cls, size_bytes: int) -> "Segment":
        """A new segment without a name, for processes that inherit its descriptor."""
        descriptor = os.memfd_create("nbgrad", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, size_bytes)
        fcntl.fcntl(descriptor, F_ADD_SEALS, SEALS)
        return cls(descriptor, size_bytes)

    @classmethod
    def create(cls, name: str, size_bytes: int) -> "Segment":
        """A new segment under `name`; FileExistsError if there is one."""
        path = f"{SHM}/{PREFIX}{name}"
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            os.ftruncate(descriptor, size_bytes)
            return cls(descriptor, size_bytes, name, owner=True)
        except BaseException:
            os.unlink(path)
            os.close(descriptor)
            raise

    @classmethod
    def attach(cls, name: str) -> "Segment":
        """The segment under `name`, if this user owns it; FileNotFoundError if there is none (yet)."""
        path = f"{SHM}/{PREFIX}{name}"
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        facts = os.fstat(descriptor)
        if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
            os.close(descriptor)
            raise StartupError(
                f"{path} belongs to user {facts.st_uid} with mode {facts.st_mode & 0o777:o}, not to this group: "
                f"somebody else took the name. Choose another run id (MASTER_PORT)."
            )
        if facts.st_size == 0:
            os.close(descriptor)
            raise FileNotFoundError(path)  # its creator has not sized it yet
        return cls(descriptor, facts.st_size, name)

    def commit(self, offset: int, n_bytes: int) -> None:
        """Take memory for a range now, so that touching it later can't end in SIGBUS.

        Raises
        ------
        SharedMemoryFull
            If there is not enough memory, with the figures.
        """
        available = available_bytes()
        try:
            if n_bytes > available - RESERVE:
                raise OSError(errno.ENOMEM, "more than is available")
            os.posix_fallocate(self.descriptor, offset, n_bytes)
        except OSError as error:
            where = f"{SHM} ({free_bytes(SHM) >> 20} MiB free)" if self.name else "memory"
            raise SharedMemoryFull(
                f"no room for {n_bytes >> 20} MiB more of shared memory in {where}: {error.strerror}; "
                f"{available >> 20} MiB of memory are available on this machine. Use smaller batches or fewer workers, "
                f"or release tensors that are not needed."
            ) from error

    def unlink(self) -> None:
        """Remove the name (the owner); mappings stay."""
        if self.owner and self.name:
            self.owner = False
            try:
                os.unlink(f"{SHM}/{PREFIX}{self.name}")
            except FileNotFoundError:
                pass

    def unmap(self) -> None:
        """Give the address range back; only when no array in it is left in this process."""
        if self.address:
            libc.munmap(self.address, self.size_bytes)
            self.address = 0

    def make_private(self) -> bool:
        """In a child forked from a worker: what it writes from now on stays its own; whether that could be done.

        Pages that it does not write go on showing what the group writes.
        """
        if self.descriptor < 0 or not self.address:
            return False
        flags = mmap.MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE
        found = libc.mmap(self.address, self.size_bytes, 0x3, flags, self.descriptor, 0)
        return found == self.address

    def close(self) -> None:
        """Give up the name and the descriptor; the mapping stays (see `unmap`): arrays may still lie in it."""
        self.unlink()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def available_bytes() -> int:
    """Memory that processes can still take, as the kernel sees it; without limit where it can't be asked."""
    import psutil  # 9 ms, and needed only where a group starts

    try:
        return psutil.virtual_memory().available
    except OSError:  # no descriptor is left to open /proc/meminfo
        return 1 << 62


def free_bytes(folder: str) -> int:
    """Bytes free on the file system of `folder`."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
