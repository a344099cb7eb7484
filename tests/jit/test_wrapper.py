"""Signature strings and the native text made of them."""

import llvmlite.binding as llvm
import pytest

from nbgrad.jit import wrapper


def test_letters_outputs_and_result():
    arguments, result = wrapper.parse("aA>akunfd=n")
    assert [letter for letter, _ in arguments] == list("aAakunfd")
    assert [written for _, written in arguments] == [False, False, True] + [False] * 5
    assert result == "n"


@pytest.mark.parametrize("signature", ["ax", "aa=q", "a?"])
def test_unknown_letters_are_refused(signature):
    with pytest.raises(ValueError, match="kernel signature"):
        wrapper.parse(signature)


@pytest.mark.parametrize("signature", ["", "n", "aa>a", "Akunfd=d", "nnn=n", ">A>A>A"])
def test_the_text_is_valid_llvm(signature):
    module = llvm.parse_assembly(wrapper.wrapper_text(signature, "w"))
    module.verify()
