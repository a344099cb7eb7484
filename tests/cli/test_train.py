"""`nbgrad train` as a person runs it: summary, JSON, bad flags, Ctrl-C, and nothing left behind."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

COMMAND = [sys.executable, "-m", "nbgrad", "train"]


def test_trains_and_agrees_with_one_process(tmp_path, nothing_left):
    file = tmp_path / "out.json"
    picture = tmp_path / "out.png"
    command = [*COMMAND, "--epochs", "8", "--json", str(file), "--plot", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert "bit-identical" in done.stdout
    figures = json.loads(file.read_text())
    assert figures["test_accuracy"] > 0.9
    assert figures["loss_curve_max_diff"] == figures["parameters_max_diff"] == 0.0
    assert figures["hops"] == 8 * 23
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(figures["losses"]) == 8 * 23
    assert figures["versions"]["nbgrad"]
    assert figures["first_epoch_done_s"] < figures["wall_s"]
    for key in ("samples_per_s", "hop_us_median", "bytes_zero_copy", "bytes_copied", "wall_s"):
        assert figures[key] > 0, key


def test_rate_that_is_too_high_gets_one_line(nothing_left):
    command = [*COMMAND, "--lr", "1e30", "--epochs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("nbgrad: the loss is ")
    assert "--lr 1e+30 is likely too high" in line


def test_time_since_the_start_includes_the_start_of_python():
    start = time.monotonic()
    program = "from nbgrad.cli.train import since_start_s; print(since_start_s())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert 0.03 < float(done.stdout) <= time.monotonic() - start + 0.02  # it counts in 10 ms


def read_until(terminal, text, deadline_s):
    """What comes out of a terminal, up to `text` or its end."""
    found, end = "", time.monotonic() + deadline_s
    while text not in found:
        assert time.monotonic() < end, f"no {text!r} after {deadline_s} s:\n{found}"
        try:
            found += os.read(terminal, 1 << 16).decode()
        except OSError:  # the other end is closed
            break
    return found


def test_ctrl_c_ends_within_a_second_with_a_summary(tmp_path, nothing_left):
    file = tmp_path / "out.json"
    ours, theirs = pty.openpty()  # a terminal, whose Ctrl-C reaches launcher and workers alike
    try:
        child = subprocess.Popen(
            [*COMMAND, "--epochs", "100000", "--json", str(file)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        before = read_until(ours, "images/s", 60.0)
        os.killpg(child.pid, signal.SIGINT)
        start = time.monotonic()
        after = read_until(ours, "never said", 60.0)
        code = child.wait(10)
        assert time.monotonic() - start < 1.5  # a second, and half of one for a loaded machine
    finally:
        os.close(ours)
    assert code == 130
    assert "Interrupted. What was done:" in after
    assert "wall time" in after
    assert "Traceback" not in before + after
    figures = json.loads(file.read_text())
    assert figures["interrupted"]
    assert figures["epochs_done"] >= 1
