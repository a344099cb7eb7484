"""The machine: runs of pointwise instructions over arrays, in one native call.

    instruction   out = f(a, b, c)        f is the address of a routine, the others are addresses of arrays

No code is compiled for a recorded step: its instructions are words in an array, and the interpreter calls the routine of each,
tile by tile, so that what is passed from one instruction to the next stays in the first-level cache.

A program is one int64 array:
  0 elements   1 instructions   2 word of the first instruction   3 arrays given from outside   4 word of the first of these
  5 elements of a tile   6 bytes of an element
An array from outside has four words: the address when it was last given, its dtype (the object), the word of the first of
its places, how many places.  A place is the number of the word in which an instruction holds its address.
An instruction has six words: routine, addresses of out, a, b, c, and a bit for each of these that moves on from tile to tile:
what lives in a tile only (scratch) and single numbers do not.
"""

from typing import Any

import numpy as np

from nbgrad.jit import fastcall
from nbgrad.jit.fastcall import restore_thread, save_thread, to_int
from nbgrad.jit.fmath import exp as exp_of
from nbgrad.jit.fmath import sigmoid as sigmoid_of
from nbgrad.jit.fmath import tanh as tanh_of
from nbgrad.jit.primitive import call_address_8, peek, peek32, poke
from nbgrad.jit.routine import routine

N_WORDS = 6  # of an instruction
HEADER = 7
OUTSIDE = 4  # words per array from outside
TILE = 1024  # elements: three float64 arrays of it are 24 KiB
RELEASE = 20_000  # elements times instructions, from which the GIL is released: about 5 us


@fastcall
def run(block, args, n_args):
    """run(program, array, ...) -> 1, or 0 if an array is not as the program expects it; then nothing was done."""
    ndarray = peek(block)
    program = peek(peek(args) + 16)
    n, n_instructions = peek(program), peek(program + 8)
    tile, item = peek(program + 40), peek(program + 48)
    first = program + 8 * peek(program + 16)
    outside = program + 8 * peek(program + 32)
    if n_args - 1 != peek(program + 24):
        return to_int(0)
    for k in range(n_args - 1):
        array = peek(args + 8 + 8 * k)
        if peek(array + 8) != ndarray:
            return to_int(0)
        entry = outside + 32 * k
        if peek(array + 56) != peek(entry + 8) or peek32(array + 64) & 1 == 0:
            return to_int(0)
        size = 1
        dims = peek(array + 32)
        for d in range(peek32(array + 24)):
            size *= peek(dims + 8 * d)
        if size != n:
            return to_int(0)
        address = peek(array + 16)
        if address != peek(entry):
            poke(entry, address)
            place = program + 8 * peek(entry + 16)
            for p in range(peek(entry + 24)):
                poke(program + 8 * peek(place + 8 * p), address)
    state = 0
    if n * n_instructions > RELEASE:
        state = save_thread()
    start = 0
    while start < n:
        m = min(tile, n - start)
        at, passed = first, start * item
        for _ in range(n_instructions):
            moves = peek(at + 40)
            call_address_8(
                peek(at),
                peek(at + 8) + passed * (moves & 1),
                peek(at + 16) + passed * ((moves >> 1) & 1),
                peek(at + 24) + passed * ((moves >> 2) & 1),
                peek(at + 32) + passed * (moves >> 3),
                m,
                0,
                0,
                0,
            )
            at += 48
        start += m
    if state != 0:
        restore_thread(state)
    return to_int(1)


def interpreter() -> Any:
    """The builtin `run`."""
    if not Found.run:
        Found.run.append(run.bind((np.ndarray,)))
    return Found.run[0]


class Found:
    """The builtin, made when it is first needed."""

    run: list = []


# ---------------------------------------------------------------- routines: the same formulas as the kernels of nbgrad.ops


@routine(arrays=4)
def add(out, a, b, c):
    for i in range(out.size):
        out[i] = a[i] + b[i]


@routine(arrays=4)
def sub(out, a, b, c):
    for i in range(out.size):
        out[i] = a[i] - b[i]


@routine(arrays=4)
def mul(out, a, b, c):
    for i in range(out.size):
        out[i] = a[i] * b[i]


@routine(arrays=4)
def div(out, a, b, c):
    for i in range(out.size):
        out[i] = a[i] / b[i]


@routine(arrays=4)
def add_product(out, a, b, c):
    # c is a sum of cotangents: no rounding is saved, as in `mul` and then `add`.
    for i in range(out.size):
        out[i] = c[i] + a[i] * b[i]


@routine(arrays=4)
def add_number(out, a, b, c):
    y = b[0]
    for i in range(out.size):
        out[i] = a[i] + y


@routine(arrays=4)
def mul_number(out, a, b, c):
    y = b[0]
    for i in range(out.size):
        out[i] = a[i] * y


@routine(arrays=4)
def div_number(out, a, b, c):
    y = b[0]
    for i in range(out.size):
        out[i] = a[i] / y


@routine(arrays=4)
def neg(out, a, b, c):
    for i in range(out.size):
        out[i] = -a[i]


@routine(arrays=4)
def relu(out, a, b, c):
    zero = a.dtype.type(0)
    for i in range(out.size):
        out[i] = zero if a[i] <= zero else a[i]


@routine(arrays=4)
def relu_slope(out, a, b, c):
    zero = a.dtype.type(0)
    for i in range(out.size):
        out[i] = zero if b[i] <= zero else a[i]


@routine(arrays=4, fast=True)
def exp(out, a, b, c):
    for i in range(out.size):
        out[i] = exp_of(a[i], a)


@routine(arrays=4, fast=True)
def tanh(out, a, b, c):
    for i in range(out.size):
        out[i] = tanh_of(a[i], a)


@routine(arrays=4, fast=True)
def tanh_slope(out, a, b, c):
    for i in range(out.size):
        out[i] = a[i] - a[i] * b[i] * b[i]


@routine(arrays=4, fast=True)
def sigmoid(out, a, b, c):
    for i in range(out.size):
        out[i] = sigmoid_of(a[i], a)


@routine(arrays=4, fast=True)
def sigmoid_slope(out, a, b, c):
    for i in range(out.size):
        out[i] = a[i] * (b[i] - b[i] * b[i])


ROUTINES = {
    one.__name__: one
    for one in (
        add,
        sub,
        mul,
        div,
        add_product,
        add_number,
        mul_number,
        div_number,
        neg,
        relu,
        relu_slope,
        exp,
        tanh,
        tanh_slope,
        sigmoid,
        sigmoid_slope,
    )
}
