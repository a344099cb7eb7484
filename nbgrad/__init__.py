"""nbgrad: one distributed backward pass over the processes of one machine."""

__version__ = "0.1.0"
