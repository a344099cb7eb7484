"""`python -m nbgrad` is the same command as `nbgrad`."""

from nbgrad.cli import main

if __name__ == "__main__":
    main(prog_name="python -m nbgrad")
