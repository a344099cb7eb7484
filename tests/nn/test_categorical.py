"""Categorical: samples follow the weights, log-probabilities are differentiable."""

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.distributions import Categorical


def test_samples_follow_the_weights():
    nb.manual_seed(0)
    drawn = Categorical(probs=nb.tensor([1.0, 2.0, 1.0])).sample((20_000,)).numpy()
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=3) / 20_000, [0.25, 0.5, 0.25], atol=0.02
    )


def test_an_outcome_without_weight_never_comes():
    drawn = Categorical(probs=nb.tensor([0.0, 1.0, 0.0])).sample((1000,)).numpy()
    assert set(drawn.tolist()) == {1}


def test_gradient_of_a_log_probability_is_one_minus_probs():
    logits = nb.tensor([0.1, 0.2, 0.3], requires_grad=True)
    d = Categorical(logits=logits)
    d.log_prob(nb.tensor(2)).backward()
    expected = np.array([0, 0, 1]) - d.probs.detach().numpy()
    np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_entropy_of_a_fair_coin():
    assert Categorical(probs=nb.tensor([0.5, 0.5])).entropy().item() == pytest.approx(np.log(2))


def test_exactly_one_form_must_be_given():
    with pytest.raises(ValueError, match="but not both"):
        Categorical()
