"""The command line: `nbgrad train / run / doctor`."""

from nbgrad.cli.entry import main
