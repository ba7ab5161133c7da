"""The public names, the package's own figures about itself, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import gpuyard
from gpuyard.errors import GpuyardError
from gpuyard.traces.schema import COLUMNS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_public_names_are_sorted_and_few() -> None:
    assert gpuyard.__all__ == sorted(gpuyard.__all__)
    assert len(gpuyard.__all__) <= 29


@pytest.mark.parametrize("name", gpuyard.__all__)
def test_every_public_name_can_be_used_and_explains_itself(name: str) -> None:
    assert getattr(gpuyard, name).__doc__
    assert name in dir(gpuyard)


def test_typed_imports_and_lazy_imports_name_the_same_things() -> None:
    tree = ast.parse((ROOT / "src/gpuyard/__init__.py").read_text(encoding="utf-8"))
    typed = {
        item.asname: (node.module, item.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gpuyard.")
        for item in node.names
    }
    assert typed == gpuyard._HOME
    assert sorted(typed) == gpuyard.__all__


def test_a_name_that_is_not_there_lists_what_is() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulat'; it offers Bounds, Cluster, "):
        gpuyard.simulat  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ("numpy", "numba", "pyarrow", "networkx", "pydantic")
    code = f"import sys, gpuyard; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_errors_are_caught_by_one() -> None:
    for name in ("ConfigError", "EngineError", "InputError"):
        assert issubclass(getattr(gpuyard, name), GpuyardError)


def test_every_column_of_the_job_table_has_a_unit_and_a_meaning() -> None:
    for column in COLUMNS:
        assert column.unit, column.name
        assert column.meaning, column.name
        assert column.null, column.name


def test_the_version_is_stated_once() -> None:
    assert PROJECT["project"]["version"] == gpuyard.__version__


def test_pip_extras_and_dependency_groups_are_the_same_lists() -> None:
    assert PROJECT["project"]["optional-dependencies"] == PROJECT["dependency-groups"]


def test_the_package_is_typed() -> None:
    assert (files("gpuyard") / "py.typed").is_file()
