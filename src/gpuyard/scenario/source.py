"""Scenario files before they are checked: found, read, built on what they extend, and merged.

A scenario is a preset (``phase-1``), a TOML file, or the folder of a finished run (its ``scenario.toml``).
``extends`` names another one to build on.  Tables are merged key by key and anything else is replaced, with
one exception: a table that names another *source* (a trace instead of a synthesis, nodes instead of a
preset) replaces the whole table below it, because the old source's settings have no meaning for the new one.
In the same way the options of an order, a backfill or an estimate go when a layer chooses another one, and
the placement where a layer hands the cluster out in cells.
A table of tenants by name changes the list of tenants below, and a file of tenants replaces all that was said of them.
Where nodes, blocks or a file replace a cluster, what presets said in ``[energy]`` goes with it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gpuyard.errors import ConfigError, InputError, unknown_name
from gpuyard.policy import ALIASES, DEPENDENT, NAMED, PREEMPTIVE
from gpuyard.presets import load_preset, preset_names
from gpuyard.scenario.bound_keys import with_files, with_paths_of_files
from gpuyard.scenario.tenant_keys import merge_named, with_path
from gpuyard.scenario.what_if import with_paths

__all__ = ["SOURCES", "TABLE_LISTS", "Layered", "parse_sets", "parse_value", "read_layers"]

SOURCES: Final[Mapping[str, frozenset[str]]] = {
    "workload": frozenset({"trace", "fit"}),
    "cluster": frozenset({"preset", "file", "nodes", "blocks"}),
}
"""Keys that say where a section comes from; a section has at most one of them."""

_DISTRIBUTIONS: Final = frozenset(
    ("gpus", "fractions", "runtime", "states", "loading", "pause", "before", "after", "runs", "potentials")
)
"""Keys of kinds of jobs, tables that are of one piece."""
_PATHS: Final = (("workload", "trace"), ("workload", "fit"), ("cluster", "file"))
"""Keys that hold a path, taken relative to the folder of the file they stand in."""

_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?")

Path_ = tuple[str, ...]


@dataclass(kw_only=True)
class Layered:
    """A merged scenario, and for each key the file that said so."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, str] = field(default_factory=dict)

    def add(self, layer: Mapping[str, Any], origin: str, *, keeps_name: bool = False) -> None:
        """Put a layer on top; ``keeps_name``: with another cluster or workload it is still the scenario that it was."""
        own = self._own_names() if keeps_name else {}
        layer = with_files(layer)
        for section, sources in SOURCES.items():
            above, below = layer.get(section), self.values.get(section)
            if isinstance(above, Mapping) and isinstance(below, Mapping):
                named = sources & above.keys()
                if named and not named <= below.keys():
                    self._forget(section)
                    if section == "cluster" and "preset" not in named:
                        self._forget_energy_of_presets()
        policy, above = self.values.get("policy"), layer.get("policy")
        if isinstance(policy, dict) and isinstance(above, Mapping):
            _forget_options(policy, above)
        layer = _with_text_keys(layer)
        self._forget_sources(layer)
        _forget_distributions(_tables_of_kinds(self.values), _tables_of_kinds(layer))
        layer = self._with_tenants(layer)
        _merge(self.values, {**own, **layer})
        for path in _paths(layer):
            self.origins[path] = origin

    def _with_tenants(self, layer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the layer with its tenants as a list; where it names a file of them, all below is dropped."""
        above = layer.get("tenants")
        if not isinstance(above, Mapping):
            return layer
        if "file" in above:
            self.values.pop("tenants", None)
        if "tenant" not in above:
            return layer
        below = self.values.get("tenants", {}).get("tenant")
        return {**layer, "tenants": {**above, "tenant": merge_named(below, above["tenant"])}}

    def _forget_sources(self, layer: Mapping[str, Any]) -> None:
        """Drop the sources of figures that the layer changes: they speak of the old values."""
        sources = self.values.get("site", {}).get("sources")
        if not isinstance(sources, Mapping):
            return
        changed = {
            name
            for path, value in _leaves(layer)
            if _value_at(self.values, path) != value
            for name in (path[0], ".".join(path))
        }
        self.values["site"]["sources"] = {key: item for key, item in sources.items() if key not in changed}

    def _forget(self, section: str) -> None:
        """Drop a section, and what the layers below said about the whole they no longer are."""
        stale = (section, "name", "description", "provenance", *(("site",) if section == "cluster" else ()))
        for key in stale:
            self.values.pop(key, None)

    def _own_names(self) -> dict[str, Any]:
        """Return the name and the description, unless they are those of a preset, which say what its site is."""
        stated = {key: self.values[key] for key in ("name", "description") if key in self.values}
        presets = [load_preset(name) for name in preset_names()] if stated else []
        return {key: text for key, text in stated.items() if all(text != each.get(key) for each in presets)}

    def _forget_energy_of_presets(self) -> None:
        """Drop what presets say about energy: it is the power and the prices of the site that was replaced."""
        presets = {f"preset {name}" for name in preset_names()}
        for key in list(self.values.get("energy", {})):
            if self.origin(("energy", key)) in presets:
                del self.values["energy"][key]

    def copy(self) -> Layered:
        """Return a copy that shares no table with this one."""
        return Layered(values=deepcopy(self.values), origins=dict(self.origins))

    def origin(self, path: Path_) -> str:
        """Return which file set this key, or a table or entry around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return "scenario"


def read_layers(source: str | Path) -> Layered:
    """Return a preset, a scenario file or a run's folder, merged with everything it extends.

    Raises
    ------
    ConfigError
        For a preset nobody knows, an ``extends`` that is not a name, or one that goes in a circle.
    InputError
        For a file that is missing or not TOML.
    """
    layered = Layered()
    for layer, origin in reversed(list(_chain(source))):
        layered.add(layer, origin)
    return layered


WINDOW_LISTS: Final = ("maintenance", "reservation", "commission", "partition")
"""Sections of windows over nodes."""
TABLE_LISTS: Final = (*WINDOW_LISTS, "qos", "virtual_cluster")
"""Sections of which a scenario has several, each in double brackets."""


def parse_sets(assignments: Iterable[str]) -> dict[str, Any]:
    """Return the layer that ``section.key=value`` texts make; a value is TOML, or else plain text.

    Raises
    ------
    ConfigError
        For an assignment without ``=`` or without a section, or a key that is both a value and a table.
    """
    layer: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = [key.strip() for key in path.split(".")]
        whole = len(keys) == 1 and (keys[0] in TABLE_LISTS or text.strip().startswith("{"))
        if not equals or (len(keys) < 2 and not whole) or not all(keys):
            raise ConfigError(f"'{assignment}' sets nothing; write section.key=value, such as policy.placement=packed")
        table = layer
        for key in keys[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigError(f"'{assignment}' sets a key inside '{key}', which an earlier setting made a value")
        table[keys[-1]] = parse_value(text.strip())
    return layer


def parse_value(text: str) -> Any:
    """Return the TOML value of a text, or the text itself where it is none.

    Raises
    ------
    ConfigError
        For what begins as a list or a table, and is none.
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as problem:
        if text.startswith(("[", "{")):
            raise ConfigError(
                f"'{text}' begins as a list or a table of TOML and is none: {_where(problem)}; write it as in a "
                'scenario file, such as [{name="a", nodes="0-7"}]'
            ) from None
        return text


def _where(problem: tomllib.TOMLDecodeError) -> str:
    """Return what TOML says, without the place: that counts from before the value."""
    return str(problem).partition(" (at ")[0]


def _chain(source: str | Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the layers from the one asked for down to the one that extends nothing."""
    seen: list[str] = []
    wanted: str | Path | None = source
    folder = Path()
    while wanted is not None:
        layer, origin, identity, folder = _read(wanted, folder)
        if identity in seen:
            circle = " extends ".join([*seen[seen.index(identity) :], identity])
            raise ConfigError(f"scenarios extend each other in a circle: {circle}")
        seen.append(identity)
        wanted = layer.pop("extends", None)
        if wanted is not None and not isinstance(wanted, str):
            raise ConfigError(f"{origin}: extends must be the name of a preset or a file, got {wanted!r}")
        yield layer, origin


def _read(source: str | Path, folder: Path) -> tuple[dict[str, Any], str, str, Path]:
    """Return (layer, what to call it, what tells it from others, its folder)."""
    name = str(source)
    if name in preset_names():
        return load_preset(name), f"preset {name}", name, Path()
    path = folder / Path(source).expanduser()
    if path.is_dir():
        path = path / "scenario.toml"
    if not path.is_file():
        raise _missing(name, path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the text is not UTF-8", path=path, remedy="save the scenario as UTF-8") from None
    except OSError as problem:
        raise InputError(f"the file cannot be read: {problem.strerror}", path=path) from None
    layer = _parse(text, str(path))
    for section, key in _PATHS:
        table = layer.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), str):
            table[key] = str(path.parent / Path(table[key]).expanduser())
    own = [each for table in _tables(_tables([layer], "workload"), "kinds") for each in table.values()]
    for services in (*_tables(_tables([layer], "workload"), "services"), *own):
        for kind in services.values() if isinstance(services, dict) else ():
            if isinstance(kind, dict) and isinstance(kind.get("requests"), str):
                kind["requests"] = str(path.parent / Path(kind["requests"]).expanduser())
    if isinstance(layer.get("workload"), dict):
        with_paths(layer["workload"], path.parent)
        with_path(layer["workload"].get("tenants"), path.parent)
    with_path(layer.get("tenants"), path.parent)
    with_paths_of_files(layer, path.parent)
    divided = layer.get("virtual_cluster")
    for table in divided if isinstance(divided, list) else ():
        with_path(table, path.parent)
        with_path(table.get("tenants") if isinstance(table, dict) else None, path.parent)
    return layer, str(path), str(path.resolve()), path.parent


def _tables(tables: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Return the tables that stand under a key in each of these, where there is one."""
    return [table[key] for table in tables if isinstance(table.get(key), dict)]


def _missing(name: str, path: Path) -> ConfigError | InputError:
    if path.suffix or path.name == "scenario.toml" or "/" in name:
        return InputError("there is no such scenario file", path=path, remedy="check the path")
    return unknown_name("preset, scenario file or folder", name, preset_names())


def _parse(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        line = _LINE.search(str(problem))
        reason = _LINE.sub("", str(problem)).strip()
        row = int(line[1]) if line else None
        remedy = _correction(text.splitlines()[row - 1] if row and row <= len(text.splitlines()) else "")
        if Path(origin).suffix != ".toml":
            remedy = f"a scenario is TOML; to replay a trace, write --trace {origin}"
        raise InputError(f"this is not TOML: {reason}", path=origin, row=row, remedy=remedy) from None


def _correction(line: str) -> str:
    """Return what to do about a line that TOML cannot read."""
    written = line.strip()
    shown = f"correct that line, {written if len(written) <= 60 else written[:57] + '...'}" if written else ""
    for found in _DATE.findall(line):
        try:
            datetime.fromisoformat(found)
        except ValueError as problem:
            return f"there is no {found}, {problem}; {shown}, or write it in quotes if it is no date"
    return shown or "correct that line"


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping):
            table = below.get(key)
            if key == "preemption" and isinstance(table, str):
                table = {"rule": table}  # a name is short for that
            below[key] = table = dict(table) if isinstance(table, Mapping) else {}
            _merge(table, value)
        else:
            below[key] = value


def _with_text_keys(table: Mapping[Any, Any]) -> dict[str, Any]:
    """Return tables with the keys that a file would have: sizes are given in Python as numbers."""
    return {str(key): _with_text_keys(item) if isinstance(item, Mapping) else item for key, item in table.items()}


def _tables_of_kinds(values: Mapping[str, Any]) -> dict[str, Any]:
    workload = values.get("workload")
    kinds = workload.get("kinds") if isinstance(workload, Mapping) else None
    return kinds if isinstance(kinds, dict) else {}


def _forget_distributions(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Drop the distributions of kinds that a layer gives: one is given as a whole, not laid over another."""
    for key, value in above.items():
        if key in _DISTRIBUTIONS:
            below.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _forget_distributions(below[key], value)


def _forget_options(policy: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Drop what has no meaning for the scheduler that a layer chooses: its options are not those of the old one."""
    before = _choices(policy)
    if "name" in above:
        policy.pop("order", None)  # a newly named scheduler brings its own
        policy.pop("backfill", None)
        policy.pop("preemption", None)
    if above.get("cells"):
        policy.pop("placement", None)  # cells say themselves where a job runs
    after = _choices({**policy, **above})
    for kind, options in DEPENDENT.items():
        if after[kind] != before[kind]:
            for option in options:
                policy.pop(option, None)


def _choices(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the order, backfill, placement and estimate that a section comes to, names that nobody knows included."""
    named = policy.get("name", "fifo")
    order, backfill = NAMED.get(named, (named, named)) if isinstance(named, str) else (None, None)
    if named in PREEMPTIVE:
        order, backfill = "fifo", "fit"
    order = policy.get("order", order)
    return {
        "order": ALIASES.get(order, order) if isinstance(order, str) else order,
        "backfill": policy.get("backfill", backfill),
        "placement": policy.get("placement", "best-fit"),
        "estimate": policy.get("estimate", "limit"),
    }


def _leaves(layer: Mapping[str, Any], prefix: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def _value_at(values: Any, path: Path_) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _paths(layer: Mapping[str, Any], prefix: Path_ = ()) -> Iterator[Path_]:
    for key, value in layer.items():
        yield (*prefix, key)
        if isinstance(value, Mapping):
            yield from _paths(value, (*prefix, key))
