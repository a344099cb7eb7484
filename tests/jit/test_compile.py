"""What a kernel's machine code depends on, and how names are resolved."""

import pytest

from nbgrad.jit import compile, kernel
from nbgrad.jit.kernel import code_digest
from nbgrad.jit.primitive import Primitive, peek
from nbgrad.shm import ring


@kernel("n=n")
def inner(a):
    return a + peek(a)


@kernel("n=n")
def outer(a):
    return inner(a)


def test_dependencies_reach_through_kernels():
    files, primitives = compile.dependencies(compile.original(outer).__wrapped__)
    assert files == [__file__]
    assert any("peek" in text for text in primitives)


def test_dependencies_reach_into_other_files():
    files, _ = compile.dependencies(compile.original(ring.push).__wrapped__)
    assert any(file.endswith("shm/ring.py") for file in files)


def test_the_digest_changes_with_options_and_code(monkeypatch):
    function = compile.original(outer).__wrapped__
    before = code_digest(function, "n=n", True)
    assert code_digest(function, "n=n", False) != before
    monkeypatch.setitem(function.__globals__, "inner", compile.original(ring.front))
    assert code_digest(function, "n=n", True) != before


def test_a_primitive_that_does_not_exist_can_not_be_lowered():
    assert compile.lower(Primitive("odd", "odd", returns=False), None, []) is None


@pytest.mark.parametrize("name", ["outer", "inner"])
def test_replaced_names_lead_back_to_their_kernel(name):
    lazy = compile.original(globals()[name])
    lazy.ready()
    assert compile.original(globals()[name]) is lazy
