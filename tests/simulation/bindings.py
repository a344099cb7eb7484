"""The native calls of one simulated worker: nbgrad's real wire and waiting over simulated objects, or a lighter form."""

import numpy as np

from nbgrad.shm import layout, record, ring, waiting, wire

BASE = 1 << 30  # where the segment begins


class Binding:
    """nbgrad.shm.binding.Binding over simulated memory: float64 arrays and bytes travel inline."""

    def __init__(self, group, rank):
        self.group, self.machine, self.objects = group, group.machine, group.objects
        self.rank, place, world = rank, group.layout, group.layout.world
        self.own, self.arena = self.worker(rank), BASE + place.arena(rank)
        objects = group.objects
        ring_bytes = ring.size_bytes(place.ring_capacity)
        words = {
            record.NONE: objects.none,
            record.NDARRAY: objects.ndarray,
            record.CAPSULE: objects.capsule,
            record.NEW_ARRAY: objects.NEW_ARRAY,
            record.SET_BASE: objects.SET_BASE,
            record.SEGMENT: BASE,
            record.SEGMENT_END: BASE + place.size_bytes,
            record.OWN: self.own,
            record.RANK: rank,
            record.RING_OUT: BASE + place.ring(rank, 0),
            record.RING_IN: BASE + place.ring(0, rank),
            record.RING_BYTES: ring_bytes,
            record.WORKERS: self.worker(0),
            record.WORKER_BYTES: layout.PAGE,
            record.N_DTYPES: 1,
            record.NAME: objects.name,
            record.DESTRUCTOR: 0,
            record.DTYPES: objects.float64,
            record.DTYPES + 8: 8,
        }
        self.block = self.put(words)
        self.block_in = self.put(words | {record.RING_BYTES: ring_bytes * world})
        bell = [
            self.own,
            rank,
            world,
            self.worker(0),
            layout.PAGE,
            BASE + place.ring(rank, 0),
            ring_bytes,
        ]
        self.block_bell = self.put({8 * k: word for k, word in enumerate(bell)})
        self.log, self.n_posts = (), 0  # messages taken, messages posted
        self.wire, self.waiting = self.machine.of(wire), self.machine.of(waiting)

    def here(self):
        """This worker's thread is described by `Group.position`; only explorations ask."""
        if self.machine.learning:
            self.machine.here(*self.group.position(self.rank))

    def put(self, words):
        block = self.machine.allocate(max(words) + 8)
        for offset, word in words.items():
            self.machine.private[block + offset] = word
        return block

    def worker(self, rank):
        return BASE + self.group.layout.worker(rank)

    def post(self, target, row, kind, h0, h1, h2, h3, h4, h5, arrays, extra):
        self.n_posts += 1
        self.here()
        objects = self.objects
        numbers = [objects.integer(n) for n in (target, row, kind, h0, h1, h2, h3, h4, h5)]
        made = objects.tuple(
            [objects.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arrays]
        )
        extra = objects.none if extra is None else objects.bytes(extra)
        return objects.values[objects.call(self.wire.post, self.block, *numbers, made, extra)]

    def take(self, mask):
        self.here()
        found = self.take_objects(mask)
        if found is None:
            return None
        *numbers, arrays, extra = found
        values = self.objects.values
        header = tuple([values[n] for n in numbers])
        arrays = tuple([self.objects.to_numpy(a) for a in arrays])
        self.log += ((*header, *[float(a[0]) for a in arrays]),)
        return (*header, arrays, values.get(extra))

    def take_objects(self, mask):
        """The next message; its arrays as simulated objects."""
        objects = self.objects
        message = objects.call(self.wire.take, self.block_in, objects.integer(mask))
        if message == objects.none:
            return None
        *numbers, arrays, extra = objects.items(message)
        return (*numbers, objects.items(arrays), extra)

    def wait_bell(self, timeout_ns):
        self.here()
        return self.wait(self.waiting.wait_bell, self.block_bell, timeout_ns)

    def wait_epoch(self, seen, timeout_ns):
        return self.wait(self.waiting.wait_epoch, self.block_bell, seen, timeout_ns)

    def wait_standby(self, timeout_ns):
        return self.wait(self.waiting.wait_standby, self.block_bell, timeout_ns)

    def wait(self, function, block, *numbers):
        objects = self.objects
        return objects.values[objects.call(function, block, *[objects.integer(n) for n in numbers])]

    def fault(self):
        get, name = self.objects.get, self.objects.name
        if not get(name + record.FAULT):
            return None
        what, block, *rest = [get(name + at) for at in record.FAULT_WORDS]
        return what, block - BASE, *rest

    def empty(self, shape, dtype):
        return None

    def travels(self, array):
        return False


class LightBinding(Binding):
    """Messages through the real ring and `wire.commit`, without objects and without sleeping on the bell.

    A message takes a fifth of the steps, so that all schedules of a pass can be tried.
    """

    HEADER = 9  # row, kind, h0 .. h5, number of words
    seen = 0

    def __init__(self, group, rank):
        super().__init__(group, rank)
        self.ring, self.shm_wire = self.machine.of(ring), self.machine.of(wire)

    def ring_of(self, source, target):
        return BASE + self.group.layout.ring(source, target)

    def post(self, target, row, kind, h0, h1, h2, h3, h4, h5, arrays, extra):
        self.n_posts += 1
        self.here()
        words = [int(a[0]) for a in arrays]
        where = self.ring_of(self.rank, target)
        self.seen = self.machine.written()
        record = self.ring.claim(where, 8 * (self.HEADER + len(words)))
        if record == 0:
            return wire.FULL
        poke = self.machine.write
        for k, word in enumerate((row, kind, h0, h1, h2, h3, h4, h5, len(words), *words)):
            poke(record + 8 * k, word)
        self.shm_wire.commit(row, where, record, self.worker(target), 1 << self.rank)
        return wire.SENT

    def take(self, mask):
        self.here()
        self.seen = self.machine.written()
        for source in range(self.group.layout.world):
            if source == self.rank:
                continue
            where = self.ring_of(source, self.rank)
            record = self.ring.front(where)
            if record:
                header = [self.machine.read(record + 8 * k) for k in range(self.HEADER)]
                at = record + 8 * self.HEADER
                words = [self.machine.read(at + 8 * k) for k in range(header[-1])]
                self.ring.release(where, record)
                self.log += ((source, *header, *words),)
                return (source, *header[1:-1], tuple(np.array([w], np.float64) for w in words), b"")
        return None

    def wait_bell(self, timeout_ns):
        self.here()
        self.machine.wait_written(self.seen)
        return 1
