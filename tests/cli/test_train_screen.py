"""The bars show each run's last state, on a terminal or not."""

from rich.console import Console

from nbgrad.cli.train_screen import Screen


def shown(is_terminal):
    console = Console(width=120, force_terminal=is_terminal, color_system=None)
    with console.capture() as capture, Screen(console, epochs=4) as screen:
        screen.begin("2 workers", "starting")
        screen.epoch(1, 0.5, 1000.0)
        screen.epoch(4, 0.25, 2345.6)
        screen.begin("one process", "starting")
    return capture.get()


def test_last_state_without_a_terminal():
    first, second = shown(is_terminal=False).splitlines()[:2]
    assert "2 workers" in first
    assert "4/4 epochs  loss 0.2500  2,346 samples/s" in first
    assert "one process" in second
    assert "0/4 epochs  starting" in second


def test_terminal_is_drawn_on():
    assert "loss 0.2500" in shown(is_terminal=True)
