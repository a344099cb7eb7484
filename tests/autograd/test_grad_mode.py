import threading

import pytest

import nbgrad as nb
from nbgrad.autograd import grad_mode


def test_blocks_nest_and_restore():
    with nb.no_grad():
        assert not nb.is_grad_enabled()
        with nb.enable_grad():
            assert nb.is_grad_enabled()
        assert not nb.is_grad_enabled()
    assert nb.is_grad_enabled()


def test_restored_after_an_exception():
    with pytest.raises(KeyError), nb.no_grad():
        raise KeyError
    assert nb.is_grad_enabled()


@pytest.mark.parametrize("decorate", [nb.no_grad(), nb.no_grad])
def test_as_decorator(decorate):
    @decorate
    def inside():
        """Doc."""
        return nb.is_grad_enabled()

    assert inside() is False
    assert inside.__doc__ == "Doc."
    assert nb.is_grad_enabled()


def test_a_generator_cannot_be_decorated():
    with pytest.raises(TypeError, match="generator"):

        @nb.no_grad()
        def numbers():
            yield 1


def test_set_grad_enabled_works_at_once_and_as_block():
    nb.set_grad_enabled(False)
    assert not nb.is_grad_enabled()
    nb.set_grad_enabled(True)
    with nb.set_grad_enabled(False):
        assert not nb.is_grad_enabled()
    assert nb.is_grad_enabled()


def test_set_grad_enabled_as_decorator_covers_the_function_only():
    @nb.set_grad_enabled(False)
    def inside():
        return nb.is_grad_enabled()

    assert nb.is_grad_enabled()
    assert inside() is False


def test_threads_have_modes_of_their_own():
    seen = []
    with nb.no_grad():
        thread = threading.Thread(target=lambda: seen.append(nb.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_the_count_of_threads_returns_to_its_start():
    before = grad_mode.switch.n_off
    with nb.no_grad(), nb.no_grad(), nb.enable_grad():
        pass
    assert grad_mode.switch.n_off == before


def test_nothing_is_recorded_when_off():
    x = nb.ones(2, requires_grad=True)
    with nb.no_grad():
        y = x * x + nb.cat([x, x])[:2]
    assert y.node is None
    assert not y.requires_grad


def test_inference_mode():
    x = nb.ones(1, requires_grad=True)
    with nb.inference_mode():
        assert not (x * 2).requires_grad
        with nb.inference_mode(False):
            assert (x * 2).requires_grad

    @nb.inference_mode
    def double(x):
        return x * 2

    @nb.inference_mode()
    def triple(x):
        return x * 3

    assert not double(x).requires_grad
    assert not triple(x).requires_grad
    assert nb.is_grad_enabled()
