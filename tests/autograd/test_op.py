import doctest
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd.op import op, registry


@op(inputs=2)
def fma(x, y, scale=2.0, *, shift=0.0, needs):
    """x * y * scale + shift."""
    fma_needs.append(needs)
    return np.asarray(x * y * scale + shift), (x, y, scale)


@fma.vjp
def fma(residuals, g):
    x, y, scale = residuals
    return g * y * scale, g * x * scale


fma_needs = []


@op(many=True)
def halves(x):
    """Two halves."""
    n = len(x) // 2
    return (x[:n], x[n:]), (x.shape,)


@halves.vjp
def halves(residuals, g):
    halves_got.append([part is None for part in g])
    x_bar = np.zeros(residuals[0])
    n = len(x_bar) // 2
    for part, target in zip(g, (x_bar[:n], x_bar[n:])):
        if part is not None:
            target[...] = part
    return (x_bar,)


halves_got = []


def test_the_generated_function_has_the_signature_of_the_forward():
    assert str(inspect.signature(fma)) == "(x, y, scale=2.0, *, shift=0.0)"
    assert fma.__doc__ == "x * y * scale + shift."
    assert fma.__wrapped__.__name__ == "fma"
    assert registry["fma"] is fma
    assert doctest.DocTestFinder().find(nb.mul, "mul")[0].examples


def test_code_is_generated_by_the_first_call():
    @op
    def twice(x, needs, times=2.0, *, plus=0.0):
        return x * times + plus, needs

    def origin():
        return twice.__code__.co_filename

    assert str(inspect.signature(twice)) == "(x, times=2.0, *, plus=0.0)"
    assert origin() != "<op twice>"
    with pytest.raises(TypeError, match=r"twice\(\) missing 1 required positional argument: 'x'"):
        twice()
    assert origin() == "<op twice>"
    assert str(inspect.signature(twice)) == "(x, times=2.0, *, plus=0.0)"
    assert twice(3.0).item() == 6.0
    assert twice(3.0, 1.0, plus=1.0).item() == 4.0


def test_threads_may_make_the_first_call_together():
    for _ in range(20):

        @op(inputs=2)
        def product(x, y=3.0, *, scale=1.0):
            return x * y * scale, None

        together = threading.Barrier(4)

        def call(product=product, together=together):
            together.wait(10)
            return [product(2.0).item(), product(2.0, scale=2.0).item()]

        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(call) for _ in range(4)]
            assert [each.result(10) for each in found] == [[6.0, 12.0]] * 4


def test_arguments_by_position_and_keyword():
    x, y = nb.tensor([3.0], requires_grad=True), nb.tensor([4.0])
    assert fma(x, y).item() == 24.0
    assert fma(y=y, x=x, scale=1.0, shift=nb.tensor(0.5)).item() == 12.5
    with pytest.raises(TypeError):
        fma(x)


def test_needs_says_which_inputs_require_grad():
    fma_needs.clear()
    x, y = nb.ones(1, requires_grad=True), nb.ones(1)
    fma(x, y)
    fma(y, x)
    fma(y, y)
    with nb.no_grad():
        fma(x, x)
    assert fma_needs == [(True, False), (False, True), (False, False), (False, False)]


def test_gradients():
    x, y = nb.tensor([3.0], requires_grad=True), nb.tensor([4.0], requires_grad=True)
    fma(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (8.0, 6.0)


def test_many_results_get_none_where_nothing_arrived():
    halves_got.clear()
    x = nb.tensor(np.arange(4.0), requires_grad=True)
    _, second = halves(x)
    assert second.output_nr == 1
    second.sum().backward()
    assert halves_got == [[True, False]]
    assert x.grad.tolist() == [0, 0, 1, 1]
    assert not halves(nb.tensor(np.arange(4.0)))[0].requires_grad


def test_an_op_without_vjp_says_so():
    @op
    def half_made(x):
        return x, None

    y = half_made(nb.ones(1, requires_grad=True))
    with pytest.raises(NotImplementedError, match="half_made"):
        y.backward()


def test_constant_ops_record_nothing():
    y = nb.argmax(nb.ones(2, requires_grad=True))
    assert not y.requires_grad
