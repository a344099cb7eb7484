"""Data sets that ship with nbgrad."""

from nbgrad.data.digits import Digits, digits
