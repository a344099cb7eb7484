"""The pipeline: the parameters of one process, whatever micro-batches a batch is cut into."""

import pytest

from tests.cli.driven import alone, distance, run, small


@pytest.mark.parametrize("micro_batches", [1, 4])
def test_three_stages_train_as_one_process(micro_batches, tmp_path, group3):
    plan = small("pipeline", micro_batches=micro_batches)
    _, end, values = run(plan, tmp_path / "across", group3)
    _, other, wanted = alone(plan, tmp_path / "alone")
    assert end["losses"] == pytest.approx(other["losses"], rel=1e-5)
    assert distance(values, wanted) <= 3e-5
    assert 0.0 <= end["ideal_bubble"] <= end["bubble"] < 1.0
