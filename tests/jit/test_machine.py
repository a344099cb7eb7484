"""Loading machine code, and the self-test of struct offsets."""

import ctypes
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np

from nbgrad.jit import machine

TEXT = """
define i64 @"test.answer"() {
  ret i64 42
}
define i64 @helper() {
  ret i64 1
}
"""


def test_an_object_is_linked_and_runs():
    obj = machine.emit(llvm.parse_assembly(TEXT), {"test.answer"})
    address = machine.load_object(obj, "test.answer")
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(address)() == 42


def test_only_what_is_kept_is_visible():
    module = llvm.parse_assembly(TEXT)
    machine.emit(module, {"test.answer"})
    visible = [f.name for f in module.functions if f.linkage == llvm.Linkage.external]
    assert visible == ["test.answer"]


def test_the_offsets_are_right_here():
    assert machine.selftest()


def test_the_self_test_notices_other_structs(monkeypatch):
    def moved(address):
        return ctypes.c_int64(0)

    monkeypatch.setattr(machine.ctypes, "string_at", lambda *args: b"other")
    assert not machine.selftest()


def test_a_builtin_keeps_its_block_alive():
    block = np.zeros(4, np.int64)
    obj = machine.emit(llvm.parse_assembly(TEXT.replace("test.", "test2.")), {"test2.answer"})
    builtin = machine.make_builtin(
        "answer", machine.load_object(obj, "test2.answer"), block, "Doc."
    )
    assert builtin.__name__ == "answer"
    assert any(
        kept[1] is block for kept in machine.immortal if isinstance(kept, tuple) and len(kept) > 1
    )


AT_EXIT = """
import os
from nbgrad.jit import machine

class Tell:
    def __del__(self, write=os.write):
        write(1, b"freed")

machine.immortal.append(Tell())
"""


def test_definitions_outlive_the_interpreter():
    """A builtin that is freed late at exit still looks at its definition: the process crashed."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
