"""A scenario as one checked object; what is wrong is said with the key, the file and the nearest known key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from gpuyard.errors import ConfigError
from gpuyard.scenario.sections import SECTIONS, TABLES, Model
from gpuyard.scenario.source import TABLE_LISTS, Layered, Path_, parse_sets, read_layers

if TYPE_CHECKING:
    from gpuyard.cluster import Cluster
    from gpuyard.energy import EnergyModel
    from gpuyard.experiment import Progress
    from gpuyard.fitting import FittedModel, LookAlike
    from gpuyard.policy import Policy
    from gpuyard.scenario.resolve import Resolved, Resolver
    from gpuyard.synthesis import Figure, Generation
    from gpuyard.traces.trace import Trace
    from gpuyard.workload import Workload

__all__ = ["Scenario", "load", "schema"]

_BRANCHES = {each.__name__ for each in TABLES.values()}
"""Names of the tables that may stand where a plain value may stand too."""


class Scenario:
    """Everything one run depends on: site, workload, cluster, policy, energy and the run itself.

    Parameters
    ----------
    layered
        The merged tables, and which file said what.

    Raises
    ------
    ConfigError
        For a key nobody knows (names the nearest), or a value that cannot be used.
    """

    def __init__(self, layered: Layered) -> None:
        self._layered = layered
        self.checked = _check(layered)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], origin: str = "scenario") -> Scenario:
        """Return the scenario of plain tables, as a TOML file would hold them; ``extends`` is honoured."""
        layer = dict(values)
        base = layer.pop("extends", None)
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{origin}: extends must be the name of a preset or a file, got {base!r}")
        layered = Layered() if base is None else read_layers(base)
        layered.add(layer, origin)
        return cls(layered)

    def over(self, layer: Mapping[str, Any], origin: str) -> Scenario:
        """Return this scenario with a layer on top; ``origin`` is what messages call the layer."""
        layered = self._layered.copy()
        layered.add(layer, origin, keeps_name=True)
        return Scenario(layered)

    def apply_sets(self, assignments: Iterable[str]) -> Scenario:
        """Return this scenario with ``section.key=value`` texts applied, such as ``policy.placement=packed``."""
        return self.over(parse_sets(assignments), "--set")

    @property
    def name(self) -> str:
        """What the scenario calls itself."""
        return self.checked.name or "scenario"

    def to_mapping(self) -> dict[str, Any]:
        """Return the merged tables as a TOML file would hold them, without ``extends``."""
        return self._layered.copy().values

    @cached_property
    def _resolver(self) -> Resolver:
        from gpuyard.scenario.resolve import Resolver

        return Resolver(self.checked, self.to_mapping(), self._layered.origin)

    def read_workload(self, progress: Progress | None = None) -> tuple[Workload, Trace | None]:
        """Return the jobs, read or made, and the trace as read where there is one."""
        return self._resolver.workload(progress or _say_nothing)

    def generation(self) -> Generation | None:
        """Return the synthetic workload before its jobs are made, for any number of them; None where there is none.

        There is none for a trace, nor where jobs of the workload are chosen or changed.
        """
        return self._resolver.generation()

    def look_alike(self, progress: Progress | None = None) -> LookAlike | None:
        """Return the look-alike of what ``fit`` names before its jobs are made, for any number of them.

        None where the section names nothing, or where jobs of the workload are chosen or changed.
        """
        return self._resolver.look_alike(progress or _say_nothing)

    def fit_model(self, progress: Progress | None = None) -> FittedModel:
        """Return the model of the trace that ``fit`` names, or that is in the file.

        Raises
        ------
        ConfigError
            For a scenario that names none, or a trace of too few jobs.
        InputError
            For a file that cannot be used.
        """
        if self.checked.workload.fit is None:
            raise ConfigError("no model is fitted: [workload] has no 'fit'")
        return self._resolver.fitted(progress or _say_nothing)

    def workload_figures(self) -> list[Figure]:
        """Return the figures behind a synthetic workload, with standing and source; none for a trace."""
        return self._resolver.workload_figures()

    def build_cluster(self) -> Cluster:
        """Return the cluster."""
        return self._resolver.cluster()

    def build_policy(self) -> Policy:
        """Return the policy."""
        return self._resolver.policy()

    def build_energy(self) -> EnergyModel:
        """Return the energy model."""
        return self._resolver.energy()

    def resolve(self, progress: Progress | None = None) -> Resolved:
        """Return (workload, cluster, policy, energy model, run options), and the scenario to write down.

        Raises
        ------
        ConfigError
            For settings that do not go together.
        InputError
            For a trace or topology file that cannot be used.
        """
        return self._resolver.resolve(progress or _say_nothing)


def load(source: str | Path) -> Scenario:
    """Return the scenario of a preset, a TOML file or a run's folder.

    Raises
    ------
    ConfigError
        For a preset nobody knows, a key nobody knows (names the nearest), or a value that cannot be used.
    InputError
        For a file that is missing or not TOML.
    """
    return Scenario(read_layers(source))


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file (for editors: TOML and JSON have the same tables)."""
    described = Model.model_json_schema()
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    described["title"] = "gpuyard scenario"
    described["properties"]["extends"] = {"type": "string", "description": "Preset or file this one builds on."}
    return described


_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A name that TOML has without quotes."""
_WANTED: Final = {
    "string_type": "text in quotes",
    "list_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}
"""What is wanted where the type of a value is wrong."""


_INNER: Final = (("policy", "preemption"), ("policy", "cells"), ("tenants", "tenant"), ("tenants", "limit"))
"""Tables inside sections of which each key is known."""
_LISTED: Final = ("tenant", "limit")
"""Of these, lists."""
_MOST_HOMES: Final = 2
"""A key that more tables have, such as a name, says nothing of which was meant."""


def _say_nothing(_: str, __: float | None) -> None:
    return None


def _check(layered: Layered) -> Model:
    provenance = layered.values.get("provenance")
    if isinstance(provenance, Mapping) and provenance.get("runs_again") is False:
        raise ConfigError(
            f"{layered.origin(('provenance',))}: this result was made in Python from a workload and a cluster that no "
            "file describes, so it cannot be run again; it can be shown, compared and reported. Results of 'gpuyard "
            "run' and of gpuyard.run_scenario can be run again"
        )
    try:
        return Model.model_validate(layered.values)
    except ValidationError as problem:
        errors = sorted(problem.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden")
        places = {_place(error) for error in errors}
        innermost = {one for one in places if not any(other[: len(one)] == one for other in places - {one})}
        first = next(error for error in errors if _place(error) in innermost)
        path = _place(first)
        tried = [str(error["type"]) for error in errors if _place(error) == path]
        others = len(innermost) - 1
        more = f" (and {others} more)" if others else ""
        raise ConfigError(f"{layered.origin(path)}: {_describe(first, path, tried, layered.values)}{more}") from None


def _place(error: Mapping[str, Any]) -> Path_:
    """Return the keys that lead to what is wrong, without the names of the types that were tried there."""
    parts = [str(part) for part in error["loc"]]
    while len(parts) > 1 and (parts[-1] in ("float", "int", "str", "bool") or "[" in parts[-1]):
        parts.pop()
    return tuple(part for part in parts if part not in _BRANCHES and not part.startswith("dict["))


def _describe(error: Mapping[str, Any], path: Path_, tried: Sequence[str], values: Mapping[str, Any]) -> str:
    """Return what is wrong in one sentence; ``tried`` are the types of errors there, ``values`` the whole scenario."""
    table, (where, key) = ".".join(path[:-1]), _called(path, values)
    if error["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        homes = _homes(key, path[0]) if table else []
        hint = f"did you mean '{nearest[0]}'? " if nearest else ""
        hint = f"'{key}' is a key of {' and '.join(homes)}; " if homes else hint
        what = "key" if table else "section"
        return f"{where} has no {what} '{key}'; {hint}it has {', '.join(known)}"
    if error["type"] == "list_type" and not table and isinstance(error["input"], Mapping):
        return f"[{key}] is a table, and there may be several; write [[{key}]]"
    reason = str(error["msg"]).removeprefix("Value error, ")
    if key in SECTIONS and not table and error["type"] == "value_error":
        return f"[{key}] {reason}"
    if error["type"] == "missing":
        return f"{where} {key}: field required; add {key} = ..., {_meaning(path)}"
    shown = _short(error["input"])
    value = "" if error["type"] == "value_error" and shown in reason else f" (got {shown})"
    if all(kind in _WANTED for kind in tried):
        reason = f"must be {' or '.join(dict.fromkeys(_WANTED[kind] for kind in tried))}"
    reason = reason.replace("Input should be", "must be")
    return f"{where} {key}: {reason[:1].lower()}{reason[1:]}{value}"


def _called(path: Path_, values: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a table and a key in it are called: an entry of a list by its name, or else by its number from 1."""
    here: Any = values
    parts: list[str] = []
    where = ""
    for part in path[:-1]:
        if isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
            name = here.get("name") if isinstance(here, Mapping) else None
            if isinstance(name, str) and name:
                parts.append(name if _BARE.fullmatch(name) else f'"{name}"')
            else:
                where, parts = f"entry {int(part) + 1} of [[{'.'.join(parts)}]]", []
        else:
            here = here.get(part) if isinstance(here, Mapping) else None
            parts.append(part)
    if isinstance(here, list) and path[-1].isdecimal():
        number = f"entry {int(path[-1]) + 1}"
        return (f"[{'.'.join(parts[:-1])}]", f"{parts[-1]}, {number}") if parts[1:] else (f"[[{parts[-1]}]]", number)
    table = f"[{'.'.join(parts)}]" if parts else ""
    return " ".join(filter(None, (where, table))) or "the scenario", path[-1]


def _known_keys(path: tuple[str, ...]) -> list[str]:
    names = sorted(_table(path).model_fields)
    return names if path else ["extends", *names]


def _homes(key: str, section: str) -> list[str]:
    """Return the tables that have a key, which stands in another; those inside the same section if there are any."""
    paths = [*((name,) for name in SECTIONS), *_INNER]
    having = [path for path in paths if key in _table(path).model_fields]
    nearer = [path for path in having if path[0] == section] or having
    return [_bracketed(path) for path in nearer] if len(nearer) <= _MOST_HOMES else []


def _bracketed(path: Path_) -> str:
    name = ".".join(path)
    return f"[[{name}]]" if name in TABLE_LISTS or path[-1] in _LISTED else f"[{name}]"


def _meaning(path: tuple[str, ...]) -> str:
    """Return what a key is, in the words of its description."""
    fields = _table(path[:-1]).model_fields
    described = fields[path[-1]].description if path[-1] in fields else None
    return f"which is: {described[:1].lower()}{described[1:].removesuffix('.')}" if described else "which is missing"


def _table(path: tuple[str, ...]) -> type[BaseModel]:
    """Return what describes a table."""
    model: type[BaseModel] = Model
    for part in path:
        model = SECTIONS[part] if model is Model and part in SECTIONS else TABLES.get(part, model)
    return model


def _short(value: object) -> str:
    text = _as_written(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _as_written(value: object) -> str:
    """Return a value in one line; dates and times as TOML has them."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(_as_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_as_written(each)}' for key, each in value.items())}}}"
    return repr(value)
