"""The parameter server: one trainer trains as one process, several train it together."""

from tests.cli.driven import alone, distance, run, small


def test_one_trainer_trains_as_one_process(tmp_path, group2):
    plan = small("ps")
    _, end, values = run(plan, tmp_path / "across", group2)
    _, other, wanted = alone(plan, tmp_path / "alone")
    assert end["losses"] == other["losses"]
    assert distance(values, wanted) == 0.0


def test_two_trainers_share_the_batches(tmp_path, group3):
    plan = small("ps", workers=3, epochs=4, batch_size=100)
    lines, end, _ = run(plan, tmp_path / "across", group3)
    assert end["steps"] == 4 * 7  # of 15 batches each has 7
    epochs = [line["loss"] for line in lines if line["kind"] == "epoch"]
    assert epochs[-1] < epochs[0]
