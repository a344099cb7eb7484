"""The doctor: finds what is planted, is content with a good machine, and says so in its exit code."""

import json
import os
import resource
from pathlib import Path

import pytest
from click.testing import CliRunner

import nbgrad
from nbgrad.cli import doctor as doctor_module
from nbgrad.cli.doctor import (
    Finding,
    doctor,
    findings,
    probe_blas,
    probe_cache,
    probe_descriptors,
    probe_memory,
    probe_placement,
    probe_platform,
    probe_shared_memory,
    versions,
)


def verdicts(found):
    return {finding.topic: finding.verdict for finding in found}


def test_this_machine_is_described():
    found = findings()
    assert {"nbgrad", "numba", "processor", "cores", "memory", "open files"} <= set(verdicts(found))
    assert all(finding.verdict in ("ok", "slow", "stop") for finding in found)
    assert all(finding.advice for finding in found if finding.verdict != "ok")


def test_versions():
    assert versions()["nbgrad"] == nbgrad.__version__
    assert all(versions()[name] for name in ("python", "numpy", "numba", "llvmlite"))


@pytest.mark.parametrize(
    ("system", "verdict"),
    [
        (("Linux", "x86_64", "6.1.0-13-amd64"), "ok"),
        (("Linux", "x86_64", "5.6"), "ok"),
        (("Linux", "x86_64", "5.4.0-1-generic"), "stop"),
        (("Linux", "aarch64", "6.1.0"), "slow"),
        (("Darwin", "arm64", "23.1.0"), "stop"),
    ],
)
def test_platforms(system, verdict):
    assert verdicts(probe_platform(*system)) == {"platform": verdict}


def test_placement_of_workers_is_told(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    (found,) = probe_placement()
    assert found.topic == "4 workers"
    assert found.value.count("|") == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert list(probe_placement()) == []


def test_variables_that_slow_numpy_are_found():
    clean = verdicts(probe_blas({}))
    assert "slow" not in clean.values()
    planted = verdicts(probe_blas({"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_L2_SIZE": "256"}))
    assert planted["OPENBLAS_CORETYPE"] == planted["OPENBLAS_L2_SIZE"] == "slow"


def test_container_limit_is_found(tmp_path):
    (tmp_path / "memory.max").write_text("1073741824\n")
    (limit,) = [f for f in probe_memory(tmp_path) if f.topic == "memory limit"]
    assert limit.value == "1.0 GiB"
    assert "SIGKILL" in limit.advice
    (tmp_path / "memory.max").write_text("max\n")
    assert "memory limit" not in verdicts(probe_memory(tmp_path))


def test_limit_of_address_space_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (4 * 1024**3, -1))
    assert verdicts(probe_memory(tmp_path))["limit of address space"] == "slow"


def test_forbidden_memfd_stops(tmp_path, monkeypatch):
    def forbidden(name):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr("os.memfd_create", forbidden)
    assert verdicts(probe_shared_memory(tmp_path))["memfd"] == "stop"
    monkeypatch.delattr("os.memfd_create")
    assert verdicts(probe_shared_memory(tmp_path))["memfd"] == "stop"


def test_few_descriptors_are_found(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    assert verdicts(probe_descriptors()) == {"open files": "slow"}


def test_cache_is_described(tmp_path):
    (tmp_path / "add.o").write_bytes(bytes(1024**2))
    (found,) = probe_cache(tmp_path)
    assert found.value == f"{tmp_path}: 1 kernels, 1.0 MiB"
    assert verdicts(probe_cache(None)) == {"kernel cache": "slow"}


@pytest.mark.parametrize(("verdict", "exit_code"), [("ok", 0), ("slow", 0), ("stop", 1)])
def test_exit_code_and_json(verdict, exit_code, tmp_path, monkeypatch):
    found = [Finding("oven", "cold", verdict, "heat it")]
    monkeypatch.setattr(doctor_module, "findings", lambda: found)
    file = tmp_path / "out.json"
    result = CliRunner().invoke(doctor, ["--json", str(file)])
    assert result.exit_code == exit_code
    assert "heat it" in result.output
    assert json.loads(Path(file).read_text()) == [vars(found[0])]
