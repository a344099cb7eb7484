"""Saving and loading."""

from nbgrad.checkpoint.files import load, save
