import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd import check_vjp
from nbgrad.errors import DtypeError, ShapeError
from nbgrad.ops.lstm import composed_lstm, lstm_sequence

T, B, I, H = 4, 3, 2, 5


def arguments(dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((T, B, I), (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def gradients(function, inputs, of):
    """Of some of the results, weighted."""
    tensors = [nb.tensor(x, requires_grad=True) for x in inputs]
    results = function(*tensors)
    rng = np.random.default_rng(9)
    weights = [nb.tensor(rng.normal(size=y.shape).astype(y.array.dtype)) for y in results]
    sum(((results[k] * weights[k]).sum() for k in of[1:]), (results[of[0]] * weights[of[0]]).sum()).backward()  # fmt: skip
    return [y.array for y in results] + [x.grad.array for x in tensors]


@pytest.mark.parametrize("back", [False, True])
def test_vjp_matches_finite_differences(back):
    check_vjp(lstm_sequence, *arguments(), back=back)
    check_vjp(lstm_sequence, *arguments()[:5], back=back)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("of", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_it_is_what_small_operations_give(back, of, dtype, tolerance):
    inputs = arguments(dtype)
    found = gradients(lambda *x: lstm_sequence(*x, back), inputs, of)
    wanted = gradients(lambda *x: composed_lstm(*x, back), inputs, of)
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def test_inputs_with_any_steps_in_memory():
    inputs = arguments()
    views = [x.T.copy().T for x in inputs[:5]] + [np.repeat(inputs[5], 2)[::2]]
    for found, wanted in zip(lstm_sequence(*views), lstm_sequence(*inputs), strict=True):
        np.testing.assert_allclose(found.array, wanted.array, rtol=1e-12)
    check_vjp(lstm_sequence, *views)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("n_inputs", [5, 6])
def test_gradients_have_gradients(back, n_inputs):
    def second(function):
        # an input that comes from another one, too: that path counts once
        x, h, *rest = (nb.tensor(a, requires_grad=True) for a in arguments()[:n_inputs])
        y, c_end = function(x + h[:, :I], h, *rest, back=back)
        leaves = (x, h, *rest)
        found = nb.autograd.grad((y * y).sum() + c_end.sum(), leaves, create_graph=True)
        sum(((g * g).sum() for g in found[1:]), (found[0] * found[0]).sum()).backward()
        return [g.array for g in found] + [x.grad.array for x in leaves]

    for x, y in zip(second(lstm_sequence), second(composed_lstm), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)


def test_one_step_and_no_units_of_a_batch():
    x, h, c, *rest = arguments()
    y, c_end = lstm_sequence(x[:1], h, c, *rest)
    assert (y.shape, c_end.shape) == ((1, B, H), (B, H))
    y, c_end = lstm_sequence(x[:, :0], h[:0], c[:0], *rest)
    assert (y.shape, c_end.shape) == ((T, 0, H), (0, H))


def test_results_are_apart_from_what_backward_needs():
    inputs = [nb.tensor(x, requires_grad=True) for x in arguments()]
    y, c_end = lstm_sequence(*inputs)
    wanted = nb.autograd.grad(y.sum(), inputs[4], retain_graph=True)[0].array.copy()
    c_end.detach().zero_()
    np.testing.assert_array_equal(nb.autograd.grad(y.sum(), inputs[4])[0].array, wanted)


def test_what_does_not_fit_is_refused():
    good = arguments()
    for k, cut in ((0, np.s_[:0]), (0, np.s_[0]), (0, np.s_[..., 1:]), (1, np.s_[1:]), (2, np.s_[:, 1:]), (3, np.s_[1:]),
                   (4, np.s_[1:]), (5, np.s_[1:])):  # fmt: skip
        wrong = [x[cut] if j == k else x for j, x in enumerate(good)]
        with pytest.raises(ShapeError, match="lstm_sequence: expected inputs of shape"):
            lstm_sequence(*wrong)
    with pytest.raises(DtypeError, match="float32"):
        lstm_sequence(good[0], good[1].astype("float32"), *good[2:])
