import llvmlite.binding
import pytest

from nbgrad.jit import llvm


def test_names_are_those_of_llvmlite():
    assert llvm.get_process_triple is llvmlite.binding.get_process_triple
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = llvm.no_such_name
