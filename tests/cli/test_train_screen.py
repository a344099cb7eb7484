"""The bars show each run's last state, on a terminal with a chart, or without."""

from rich.console import Console

from nbgrad.cli.train_screen import Screen


def shown(is_terminal):
    console = Console(width=120, force_terminal=is_terminal, color_system=None)
    with console.capture() as capture, Screen(console, "images") as screen:
        screen.begin("2 workers, model", "starting")
        screen.show({"step": 1, "part": 0.25, "loss": 0.5})
        screen.show({"step": 4, "part": 1.0, "loss": 0.25, "samples_per_s": 2345.6})
        screen.begin("one process", "starting")
        if is_terminal:
            screen.show({"step": 1, "part": 0.1, "loss": 0.5})
    return capture.get()


def test_last_state_without_a_terminal():
    first, second = shown(is_terminal=False).splitlines()[:2]
    assert "2 workers, model" in first
    assert "step 4  loss 0.2500  2,346 images/s" in first
    assert "one process" in second
    assert "starting" in second


def test_terminal_is_drawn_on():
    text = shown(is_terminal=True)
    assert "loss 0.2500" in text
    assert "0.5 ┤" in text  # the chart of the run in one process
