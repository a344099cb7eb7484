"""Hot kernels are vector code: arithmetic on the widest registers that this CPU is given, no calls of libm."""

import platform
import re

import numpy as np
import pytest

from nbgrad.jit import compile, kernel, llvm, machine
from nbgrad.ops import activation, bias_activation, cross_entropy, layer_norm, lstm
from nbgrad.optim import adam, sgd

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="names of instructions and registers are those of x86-64"
)

HOT = [
    activation._gelu_vjp,
    layer_norm._normalize_vjp,
    cross_entropy._cross_entropy_bar,
    bias_activation._bias_relu_vjp,
    lstm._lstm_step,
    adam._adam,
    sgd._sgd_momentum,
]
ARITHMETIC = re.compile(r"\tv(?:add|sub|mul|div|max|fn?m(?:add|sub)\d+)p[sd]\t(.*)")


def assembly(thing):
    """Text of the float32 flavour's machine code."""
    thing = compile.original(thing)
    symbol = "looked_at"
    module = getattr(thing, "plain", thing).module("float32", symbol)
    machine.emit(module, {symbol})  # optimizes it
    return machine.target_machine().emit_assembly(module)


def widest():
    """Register names that vector code for this CPU must have."""
    features = machine.wide(llvm.get_host_cpu_features().flatten())
    if "+avx512vbmi2" in features:
        return "zmm"
    return "ymm" if "+avx" in features else "xmm"


def is_vectorized(text):
    return any(widest() in operands for operands in ARITHMETIC.findall(text))


@pytest.mark.parametrize("thing", HOT, ids=lambda thing: thing.__name__)
def test_arithmetic_is_done_on_the_widest_registers(thing):
    text = assembly(thing)
    assert is_vectorized(text)
    assert not re.search(r"\tcallq?\t.*(exp|erf|tanh|log)", text)  # scalar, and 45 times slower


@kernel("a>a", fast=False)
def in_turn(x, y):
    for i in range(1, x.size):
        y[i] = y[i - 1] * x[i]


def test_a_loop_that_is_none_is_noticed():
    y = np.ones(3, np.float32)
    in_turn(np.full(3, 2, np.float32), y)
    assert y.tolist() == [1, 2, 4]
    assert not is_vectorized(assembly(in_turn))


def test_wide_vectors_are_for_cpus_that_bear_them():
    assert machine.wide("+avx2,+avx512f") == "+avx2,+avx512f"
    assert machine.wide("+avx512f,+avx512vbmi2").endswith(",-prefer-256-bit")


def test_numba_gets_its_own_target_back():
    codegen = compile.tools().registry.cpu_target.target_context.codegen()
    before = codegen._tm
    with compile.vectorized_for(machine.target_machine()):
        assert codegen._tm is not before
    assert codegen._tm is before
