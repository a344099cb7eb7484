import numpy as np
import pytest

from nbgrad import optim
from tests.optim.test_adam import compare


@pytest.mark.parametrize(
    "options", [{"weight_decay": 0.1}, {"weight_decay": 0.2, "amsgrad": True}], ids=str
)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_as_the_formulas(options, dtype, rtol):
    compare(optim.AdamW, options, dtype, rtol, decoupled=True)
