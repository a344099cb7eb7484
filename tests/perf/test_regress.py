from contextlib import contextmanager

import pytest
import regress


@pytest.fixture
def run(monkeypatch, tmp_path, capsys, session):
    """Run regress.py on fake timers: {figure: slowdown in the first measurement, in the second}."""

    def runner(slowdowns):
        n_measurements = {}

        def measure(self, family, wanted, n_processes, effort):
            k = n_measurements[family] = n_measurements.get(family, 0) + 1
            for seed, figure in enumerate(regress.FAMILIES[family][0]):
                if figure.name in wanted:
                    slowdown = slowdowns.get(figure.name, (1.0, 1.0))[k - 1]
                    values = session(1000 * k + seed, slowdown, n_processes, effort(figure))
                    yield figure, figure.name, 1e3 * values

        @contextmanager
        def built(root, revision, folder):
            yield "python", "python"

        monkeypatch.setattr(regress.Session, "measure", measure)
        monkeypatch.setattr(regress, "built", built)
        arguments = ["regress.py", "--quick", "--json", str(tmp_path / "rows"), "--against", "HEAD"]
        monkeypatch.setattr("sys.argv", arguments)
        return int(regress.main()), capsys.readouterr().out

    return runner


def test_a_slower_kernel_and_a_slower_call_are_named_and_the_exit_code_is_1(run):
    code, text = run({"relu vjp": (1.1, 1.1), "rpc_sync": (1.1, 1.1)})
    assert code == 1
    assert text.splitlines()[-1].endswith("regressed: relu vjp, rpc_sync; improved: none")


def test_nothing_changed(run):
    code, text = run({})
    assert code == 0
    assert text.splitlines()[-1].endswith("regressed: none; improved: none")


def test_an_improvement_is_no_failure(run):
    code, text = run({"relu vjp": (0.8, 0.8)})
    assert code == 0
    assert text.splitlines()[-1].endswith("regressed: none; improved: relu vjp")


def test_a_suspicion_that_does_not_come_back_is_dropped(run):
    code, text = run({"relu vjp": (1.2, 1.0)})
    assert code == 0
    assert "measured again, in new processes: relu vjp" in text
    assert text.splitlines()[-1].endswith("regressed: none; improved: none")


def test_every_figure_gets_one_row(run):
    _, text = run({"relu vjp": (1.2, 1.0)})
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(rows) == sum(len(figures) for figures, _ in regress.FAMILIES.values())


def test_figures_have_names_of_their_own():
    names = [figure.name for figures, _ in regress.FAMILIES.values() for figure in figures]
    assert len(set(names)) == len(names)
