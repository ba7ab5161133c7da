"""The result of a run: tables, numbers and where they came from; saved and loaded as plain files."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv_format
import pyarrow.parquet as pq
import tomli_w

from gpuyard.beside import together
from gpuyard.errors import ConfigError, InputError

__all__ = ["FILES", "OPTIONAL_FILES", "Result", "check_folder"]

FILES = ("summary.json", "jobs.parquet", "attempts.parquet", "timeline.parquet", "scenario.toml")
"""The files that make a folder a result."""
OPTIONAL_FILES = (
    "decisions.parquet",
    "services.parquet",
    "tenants.parquet",
    "report.html",
    "jobs.csv",
    "attempts.csv",
    "timeline.csv",
)
"""Files that may stand beside them, and go with them when a run is saved to the same folder again."""

_TABLES = ("jobs", "attempts", "timeline")
_OPTIONAL_TABLES = ("decisions", "services", "tenants")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run leaves behind.

    ``jobs``, ``attempts`` and ``timeline`` are Arrow tables; :meth:`summary` is the dict of
    ``summary.json``; ``scenario`` is everything resolved, as written to ``scenario.toml``.
    """

    jobs: pa.Table
    attempts: pa.Table
    timeline: pa.Table
    numbers: Mapping[str, object]
    scenario: Mapping[str, object] = field(default_factory=dict)
    decisions: pa.Table | None = None
    """what the scheduler promised to whom, where the run was asked to keep it"""
    services: pa.Table | None = None
    """how services fared, where the workload has some"""
    tenants: pa.Table | None = None
    """what tenants held over time against their quotas, where some were given"""

    def summary(self) -> dict[str, object]:
        """Return the numbers of ``summary.json``."""
        return dict(self.numbers)

    @property
    def digest(self) -> str:
        """SHA-256 over the schedule: the same for the same schedule on every machine; '' where not known."""
        engine = self.numbers.get("engine")
        return str(engine.get("digest", "")) if isinstance(engine, Mapping) else ""

    def save(self, folder: str | Path, *, csv: bool = False) -> Path:
        """Write the result as a folder of plain files and return its path.

        The folder appears complete or not at all: everything is written beside it and renamed.  The
        same run gives the same bytes, apart from ``engine.wall_s`` and ``engine.events_per_s`` in ``summary.json``.

        Parameters
        ----------
        folder
            Made if it is not there.  A result that is there is replaced; nothing else ever is.
        csv
            Also write the tables as CSV; lists as numbers separated by ``|``.

        Raises
        ------
        ConfigError
            If the folder holds anything that is not a result, or cannot be written.
        """
        target = Path(folder)
        target = target.resolve() if target.is_symlink() else target
        _check_replaceable(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f".{target.name}-{uuid4().hex}")
            fresh.mkdir()
            try:
                self._write(fresh, csv)
                _put(fresh, target)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as problem:
            raise ConfigError(f"the result cannot be written to '{folder}': {problem.strerror or problem}") from problem
        return target

    def _write(self, folder: Path, csv: bool) -> None:
        tables = {name: getattr(self, name) for name in (*_TABLES, *_OPTIONAL_TABLES)}
        there = {name: table for name, table in tables.items() if table is not None}
        together(*(partial(_write_parquet, table, folder / f"{name}.parquet") for name, table in there.items()))
        for name in _TABLES if csv else ():
            csv_format.write_csv(_flat(tables[name]), folder / f"{name}.csv")
        text = json.dumps(self.numbers, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
        scenario = _without_none(self.scenario)
        (folder / "scenario.toml").write_bytes(tomli_w.dumps(scenario).encode())

    @classmethod
    def load(cls, folder: str | Path) -> Result:
        """Return a result that :meth:`save` wrote.

        Raises
        ------
        InputError
            If the folder or one of its files is missing, or cannot be read.
        """
        place = Path(folder)
        if not place.is_dir():
            raise InputError("there is no such folder", path=place, remedy="give the folder of a finished run")
        missing = [name for name in FILES if not (place / name).is_file()]
        if missing:
            raise InputError(
                f"not a result of gpuyard: {', '.join(missing)} missing",
                path=place,
                remedy="give the folder that 'gpuyard run -o' wrote",
            )
        tables = {name: _read_parquet(place / f"{name}.parquet") for name in _TABLES}
        numbers = _read_text(place / "summary.json", json.loads)
        scenario = _read_text(place / "scenario.toml", tomllib.loads)
        for name in _OPTIONAL_TABLES:
            extra = place / f"{name}.parquet"
            tables[name] = _read_parquet(extra) if extra.is_file() else None
        return cls(**tables, numbers=numbers, scenario=scenario)


def check_folder(folder: str | Path) -> None:
    """Raise unless a result could be saved here: to be asked before a long run rather than after it.

    Raises
    ------
    ConfigError
        If the folder holds anything that is not a result, or its place cannot be written to.
    """
    target = Path(folder)
    target = target.resolve() if target.is_symlink() else target
    _check_replaceable(target)
    place = next(parent for parent in target.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(
            f"the result cannot be written to '{folder}': '{place}' is not a folder that can be written to"
        )


def _check_replaceable(target: Path) -> None:
    """Raise unless the target is free, an empty folder, or a result and nothing else."""
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigError(f"'{target}' is a file; give a folder for the result")
    names = {entry.name for entry in target.iterdir()}
    strange = sorted(names - set(FILES) - set(OPTIONAL_FILES))
    if strange or (names and not names >= set(FILES)):
        what = f"holds '{strange[0]}', which is no part of a result" if strange else "is not a complete result"
        raise ConfigError(f"folder '{target}' {what}, so it is not replaced; choose another folder or empty it")


def _put(fresh: Path, target: Path) -> None:
    """Rename the fresh folder to the target, an old one out of the way first (and back if that fails)."""
    if not target.exists():
        fresh.rename(target)
        return
    old = fresh.with_name(fresh.name + "-old")
    target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)


def _write_parquet(table: pa.Table, path: Path) -> None:
    """Write with every choice stated that could change the bytes."""
    names = [entry.name for entry in table.schema if pa.types.is_string(entry.type) and entry.name != "job_id"]
    pq.write_table(
        table,
        path,
        version="2.6",
        compression="zstd",
        compression_level=1,
        use_dictionary=names,
        write_statistics=True,
        row_group_size=1_048_576,
        data_page_version="1.0",
    )


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with lists as text, for CSV."""
    for place, entry in enumerate(table.schema):
        if pa.types.is_list(entry.type):
            texts = pc.binary_join(table.column(place).cast(pa.list_(pa.string())), "|")
            table = table.set_column(place, entry.name, texts)
    return table


def _without_none(value: Any) -> Any:
    """Return the value without keys that are ``None``: TOML has no null, a key left out is the default."""
    if isinstance(value, Mapping):
        return {str(key): _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_none(each) for each in value]
    return value


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as problem:
        raise InputError(f"not readable as Parquet: {problem}", path=path, remedy="run the simulation again") from None


def _read_text(path: Path, parse: Any) -> dict[str, object]:
    try:
        value = parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as problem:
        raise InputError(f"not readable: {problem}", path=path, remedy="run the simulation again") from None
    if not isinstance(value, dict):
        raise InputError("holds no table of keys", path=path, remedy="run the simulation again")
    return value
