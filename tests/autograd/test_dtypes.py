import numpy as np
import pytest

import nbgrad as nb
from nbgrad.autograd.dtypes import as_array, as_dtype, as_operand, is_floating
from nbgrad.errors import DtypeError


def test_python_floats_become_the_default_dtype_and_arrays_keep_theirs():
    assert as_array([1.0, 2]).dtype == np.float32
    assert as_array(1).dtype == np.int64
    assert as_array(np.float64(1)).dtype == np.float64
    assert as_array([np.zeros(2), np.zeros(2)]).dtype == np.float64
    assert as_array(np.zeros(2)).dtype == np.float64
    assert as_array([]).dtype == np.float32
    assert as_array(True).dtype == np.bool_


def test_the_default_dtype_can_be_set():
    nb.set_default_dtype(nb.float64)
    try:
        assert nb.tensor([1.0]).dtype == np.float64
        assert nb.zeros(1).dtype == np.float64
    finally:
        nb.set_default_dtype(nb.float32)
    with pytest.raises(DtypeError, match="float32 or float64"):
        nb.set_default_dtype(np.int64)


def test_subclasses_of_ndarray_become_plain():
    assert type(as_array(np.ma.masked_array([1.0]))) is np.ndarray


def test_numbers_stay_numbers_as_operands():
    assert type(as_operand(2.0)) is float
    assert type(as_operand(np.float64(2))) is float
    assert type(as_operand([2.0])) is np.ndarray


@pytest.mark.parametrize("value", ["text", [1j], object(), [[1.0], [1.0, 2.0]]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(DtypeError):
        as_array(value)


def test_dtypes_by_name_or_object():
    assert as_dtype(float) == np.float32
    assert as_dtype("float64") is nb.float64
    with pytest.raises(DtypeError, match="float16"):
        as_dtype(np.float16)
    with pytest.raises(DtypeError):
        as_dtype("no such")
    assert is_floating(np.dtype("f8"))
    assert not is_floating(np.dtype("i8"))
