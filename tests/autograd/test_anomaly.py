"""Call sites are noted, and NaN looked for, when asked for, and only then."""

import pytest

import nbgrad as nb
import nbgrad.nn.functional as F
from nbgrad.autograd.anomaly import find_caller, site_of
from nbgrad.errors import NonFiniteError


def test_the_users_line_is_noted():
    x = nb.ones(1, requires_grad=True)
    with nb.autograd.detect_anomaly():
        y = x * 2
    file, line = site_of(y.grad_fn).rsplit(":", 1)
    assert file == __file__
    assert int(line) > 0


def test_a_user_whose_folder_has_the_name_of_the_package(tmp_path):
    file = tmp_path / "nbgrad" / "program.py"
    file.parent.mkdir()
    file.write_text("def ask():\n    return find_caller()\n")
    scope = {"find_caller": find_caller}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    assert scope["ask"]() == (str(file), 2)


def test_nothing_is_noted_by_default():
    assert site_of((nb.ones(1, requires_grad=True) * 2).grad_fn) is None


def test_the_mode_ends_with_its_block():
    with nb.autograd.set_detect_anomaly(True):
        pass
    assert site_of((nb.ones(1, requires_grad=True) * 2).grad_fn) is None


def nan_backward(**options):
    x = nb.tensor([1.0, 0.0], requires_grad=True)
    y = (x.sqrt() * nb.tensor([1.0, 0.0])).sum()  # 0 * inf for the second element
    y.backward(**options)
    return x.grad


@pytest.mark.parametrize("options", [{}, {"create_graph": True}])
def test_nan_is_an_anomaly(options):
    with nb.autograd.detect_anomaly(), pytest.raises(NonFiniteError) as caught:
        nan_backward(**options)
    text = str(caught.value)
    assert "Function 'sqrt' returned nan values in its 0th output: 1 of 2 elements" in text
    assert f"called at {__file__}:" in text


def test_nan_passes_where_nobody_looks():
    assert nb.isnan(nan_backward()).tolist() == [False, True]
    with nb.autograd.detect_anomaly(check_nan=False):
        assert nb.isnan(nan_backward()).tolist() == [False, True]
    with nb.autograd.set_detect_anomaly(False):
        assert nb.isnan(nan_backward()).tolist() == [False, True]


def test_nan_in_a_sparse_gradient():
    weight = nb.ones(3, 2, requires_grad=True)
    with nb.autograd.detect_anomaly():
        rows = F.embedding(nb.tensor([0, 2]), weight, sparse=True)
        rows.sum().backward(retain_graph=True)
        with pytest.raises(NonFiniteError, match="'embedded'.*4 of 4 elements"):
            rows.backward(nb.full((2, 2), float("nan")))


def test_a_failing_vjp_names_the_line_of_its_operation():
    @nb.autograd.op
    def fragile(x):
        return x * 1, ()

    @fragile.vjp
    def fragile(residuals, g):
        raise ArithmeticError("no")

    x = nb.ones(1, requires_grad=True)
    with nb.autograd.detect_anomaly(), pytest.raises(ArithmeticError) as caught:
        fragile(x).backward()
    (note,) = caught.value.__notes__
    assert f"op 'fragile', called at {__file__}:" in note
