"""`nbgrad.distributed.rpc` and its modules are those of `nbgrad.rpc`."""

import importlib

import pytest

import nbgrad.distributed.rpc
from nbgrad import rpc


@pytest.mark.parametrize(
    "name", ["api", "backend_registry", "constants", "functions", "internal", "options"]
)
def test_modules_are_found_by_either_name(name):
    found = importlib.import_module(f"nbgrad.distributed.rpc.{name}")
    assert found is importlib.import_module(f"nbgrad.rpc.{name}")
    assert getattr(nbgrad.distributed.rpc, name) is found


def test_what_is_set_in_api_has_its_effect(monkeypatch):
    from nbgrad.distributed.rpc import api

    monkeypatch.setattr(api, "_ignore_rref_leak", False)
    assert rpc.api._ignore_rref_leak is False


def test_a_pickler_is_named_inside_of_its_block():
    from nbgrad.distributed.rpc.api import _use_rpc_pickler

    with _use_rpc_pickler("another"):
        assert rpc.api._default_pickler == "another"
    assert rpc.api._default_pickler is rpc.internal._internal_rpc_pickler
