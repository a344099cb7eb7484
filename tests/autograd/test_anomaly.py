"""Call sites are noted when asked for, and only then."""

import nbgrad as nb
from nbgrad.autograd.anomaly import find_caller, site_of


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
