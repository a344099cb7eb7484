"""Warming up: every object of the package has a name, is made under it, and is the one that is loaded later."""

import pytest

from nbgrad.jit import store, warm
from nbgrad.jit.kernel import kernels, sources


def test_every_kind_of_native_code_is_there():
    kinds = {type(source).__name__ for source in sources}
    assert {"Kernel", "Maker", "FastCall", "NativeFunction", "Routine", "Lines"} <= kinds
    kernel = next(kernel for kernel in kernels if kernel.__name__ == "find_poison")
    assert kernel.object_name("any") in warm.objects()


def test_one_of_each_kind_is_made_and_found(empty_store):
    assert set(warm.missing()) == set(warm.objects())
    ours = [source for source in sources if source.__module__.startswith("nbgrad.")]
    first = {type(source).__name__: source for source in reversed(ours)}
    names = [next(iter(source.objects()))[0] for source in first.values()]
    for name in names:
        assert warm.make(name) == name
        assert store.load(name)
    assert set(warm.objects()) - set(warm.missing()) == set(names)


def test_an_unknown_name_is_an_error(empty_store):
    with pytest.raises(KeyError, match="no_such_object"):
        warm.make("no_such_object")
