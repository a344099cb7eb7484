"""Python objects as the native calls of shm/wire.py see them: structs in a thread's private memory.

Ints and None are handles with a value; tuples, bytes, ndarrays and capsules have their fields at CPython's and NumPy's
offsets (Note [Fast calls] in nbgrad/jit/machine.py).  `call(function, *args)` is what the interpreter does around a builtin.
"""

import math

import numpy as np

from nbgrad.shm import arena, record

TUPLE_SIZE, TUPLE_ITEMS, BYTES_DATA = 16, 24, 32
TYPE, DATA, ND, DIMS, BASE, DESCR, FLAGS = 8, 16, 24, 32, 48, 56, 64


class Objects:
    """The objects of one run of a machine."""

    NEW_ARRAY, SET_BASE = 8, 16  # addresses that stand for NumPy's functions

    def __init__(self, machine):
        self.machine, self.values = machine, {}
        self.none, self.ndarray, self.capsule, self.float64, self.name = (
            self.handle() for _ in range(5)
        )
        machine.externals = {
            "PyLong_FromLongLong": self.integer,
            "PyLong_AsLongLong": self.values.__getitem__,
            "PyTuple_New": self.new_tuple,
            "PyBytes_FromStringAndSize": self.new_bytes,
            "PyCapsule_New": self.new_capsule,
            "PyCapsule_GetPointer": lambda capsule, name: self.get(capsule + 16),
        }
        machine.functions[self.NEW_ARRAY] = self.new_array
        machine.functions[self.SET_BASE] = self.set_base

    def get(self, address):
        return self.machine.private.get(address, 0)

    def set(self, address, value):
        self.machine.private[address] = value

    def handle(self):
        return self.machine.allocate(8)

    def integer(self, value):
        handle = self.handle()
        self.values[handle] = value
        return handle

    def new_tuple(self, n):
        made = self.machine.allocate(TUPLE_ITEMS + 8 * n)
        self.set(made + TUPLE_SIZE, n)
        return made

    def tuple(self, items):
        made = self.new_tuple(len(items))
        for k, item in enumerate(items):
            self.set(made + TUPLE_ITEMS + 8 * k, item)
        return made

    def new_bytes(self, address, n_bytes):
        words = [self.machine.read(address + at) for at in range(0, n_bytes, 8)]
        handle = self.handle()
        self.values[handle] = np.array(words, np.int64).tobytes()[:n_bytes]
        return handle

    def bytes(self, value):
        made = self.machine.allocate(BYTES_DATA + len(value))
        self.set(made + TUPLE_SIZE, len(value))
        self.fill(made + BYTES_DATA, value + bytes(-len(value) % 8))
        return made

    def fill(self, address, value):
        for k, word in enumerate(np.frombuffer(value, np.int64).tolist()):
            self.set(address + 8 * k, word)

    def new_capsule(self, pointer, name, destructor):
        made = self.machine.allocate(48)
        for offset, value in ((TYPE, self.capsule), (16, pointer), (24, name), (40, destructor)):
            self.set(made + offset, value)
        return made

    def capsule_of(self, block):
        """A capsule over a block, as `wire.adopt` makes it."""
        made = self.new_capsule(block, self.name, 0)
        self.set(made + record.CONTEXT, self.machine.get((block + arena.HOLDERS) >> 3) >> 32)
        return made

    def new_array(self, kind, dtype, nd, dims, strides, data, flags, like):
        shape = [self.machine.read(dims + 8 * k) for k in range(nd)]
        return self.array(
            shape, data or self.machine.allocate(8 * math.prod(shape)), flags or 0x501
        )

    def array(self, shape, data, flags=0x501, base=0):
        made = self.machine.allocate(80)
        dims = self.machine.allocate(8 * len(shape))
        for k, dim in enumerate(shape):
            self.set(dims + 8 * k, dim)
        fields = {
            TYPE: self.ndarray,
            DATA: data,
            ND: len(shape),
            DIMS: dims,
            BASE: base,
            DESCR: self.float64,
            FLAGS: flags,
        }
        for offset, value in fields.items():
            self.set(made + offset, value)
        return made

    def from_numpy(self, array):
        """A float64 array as an object over private memory."""
        data = self.machine.allocate(array.nbytes)
        self.fill(data, array.tobytes())
        return self.array(array.shape, data)

    def to_numpy(self, made):
        """The array that the object describes, read as its user reads it."""
        return np.array(self.contents(made), np.int64).view(np.float64)

    def set_base(self, array, base):
        self.set(array + BASE, base)
        return 0

    def call(self, function, block, *args):
        """Call a builtin with a vector of objects (ints are made into objects)."""
        vector = self.machine.allocate(8 * len(args))
        for k, arg in enumerate(args):
            self.set(vector + 8 * k, arg)
        return function(block, vector, len(args))

    # ------------------------------------------------------------ from objects to Python

    def items(self, made):
        return [self.get(made + TUPLE_ITEMS + 8 * k) for k in range(self.get(made + TUPLE_SIZE))]

    def n_elements(self, array):
        n = 1
        for k in range(self.get(array + ND)):
            n *= self.get(self.get(array + DIMS) + 8 * k)
        return n

    def contents(self, array):
        """The words of an array, read as its user reads them."""
        data = self.get(array + DATA)
        return [self.machine.read(data + 8 * k) for k in range(self.n_elements(array))]

    def base(self, array):
        return self.get(array + BASE)
