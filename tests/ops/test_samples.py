"""Every differentiable function: its VJP against finite differences, and the VJP of its VJP."""

import pytest
from hypothesis import given, settings

from nbgrad.autograd import check_double, check_vjp
from tests.arrays import SEEDS
from tests.ops.samples import Make, samples


@pytest.mark.parametrize("name", samples)
def test_first_and_second_derivatives(name):
    @given(seed=SEEDS)
    @settings(max_examples=6)
    def check(seed):
        function, *arrays = samples[name](Make(seed))
        assert check_vjp(function, *arrays)
        assert check_double(function, *arrays)

    check()
