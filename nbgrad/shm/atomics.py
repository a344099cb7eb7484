"""Atomic operations on shared words, for kernels.  The ordering ends the name; no ending means sequentially consistent.

A word is 8 bytes, aligned, named by its address; the forms with 32 are for futex words.  Read-modify-write operations
return the old value; `cas(address, expected, new)` returns what it found: `expected` means it did the exchange.
On x86-64 every read-modify-write is a full barrier whatever its name says; the names are for other machines.
"""

from nbgrad.jit.primitive import Primitive


def rmw(name, op, order, bits=64):
    return Primitive(name, "rmw", op, bits, order)


load = Primitive("load", "load", order="seq_cst")
load_acquire = Primitive("load_acquire", "load", order="acquire")
load_relaxed = Primitive("load_relaxed", "load", order="monotonic")
load32 = Primitive("load32", "load", bits=32, order="seq_cst")

store = Primitive("store", "store", order="seq_cst", returns=False)
store_release = Primitive("store_release", "store", order="release", returns=False)
store_relaxed = Primitive("store_relaxed", "store", order="monotonic", returns=False)
store32 = Primitive("store32", "store", bits=32, order="seq_cst", returns=False)

fetch_add = rmw("fetch_add", "add", "seq_cst")
fetch_or = rmw("fetch_or", "or", "seq_cst")
fetch_and = rmw("fetch_and", "and", "seq_cst")
exchange = rmw("exchange", "xchg", "seq_cst")
fetch_add32 = rmw("fetch_add32", "add", "seq_cst", 32)
fetch_or32 = rmw("fetch_or32", "or", "seq_cst", 32)
exchange32 = rmw("exchange32", "xchg", "seq_cst", 32)

cas = Primitive("cas", "cas", order="seq_cst")
cas32 = Primitive("cas32", "cas", bits=32, order="seq_cst")

fence = Primitive("fence", "fence", order="seq_cst", returns=False)
pause = Primitive("pause", "pause", returns=False)
