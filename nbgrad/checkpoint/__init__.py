"""Saving and loading; checkpoints of training runs."""

from nbgrad.checkpoint.checkpoints import Checkpoints
from nbgrad.checkpoint.files import load, save
from nbgrad.checkpoint.tensors import load_file, save_file
