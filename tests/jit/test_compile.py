"""What a kernel's machine code depends on, and how names are resolved."""

import importlib.util
import sys

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


HELPER = """
from nbgrad.jit import kernel

@kernel("n=n")
def helper(a):
    return a + {}
"""
CALLER = """
from nbgrad.jit import kernel
from {} import helper

@kernel("n=n")
def caller(a):
    return helper(a)
"""


def import_file(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_an_edit_of_a_called_kernels_file_changes_the_callers_object(tmp_path):
    """(!) Numba's own cache returned the old code here."""
    names = []
    for edition, value in enumerate((1, 1, 100)):
        helper, caller = f"edited_helper_{edition}", f"edited_caller_{edition}"
        folder = tmp_path / str(edition)
        folder.mkdir()
        (folder / "helper.py").write_text(HELPER.format(value))
        (folder / "caller.py").write_text(CALLER.format("edited_helper"))
        sys.modules["edited_helper"] = import_file(helper, folder / "helper.py")
        module = import_file(caller, folder / "caller.py")
        names.append(code_digest(module.caller.__wrapped__))
        assert module.caller(1) == 1 + value
        del sys.modules["edited_helper"]
    assert names[0] == names[1] != names[2]
