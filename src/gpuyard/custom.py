"""Users' own policies: compiled scores of jobs and of nodes, and classes that decide in plain Python.

Nothing here is found by searching: code runs because a program passes it, or because the name of its module or file
was given, as in ``mymodule:MyPolicy`` or ``mine.py:MyPolicy``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gpuyard.errors import ConfigError, GpuyardError

__all__ = ["Decider", "OwnOrder", "OwnPlacement", "OwnPolicy", "Source", "load", "order", "own_policy", "placement"]


@runtime_checkable
class Decider(Protocol):
    """What a user's own policy has: a method that is asked in every pass."""

    def decide(self, state: Any) -> Any:
        """Return the rows to start, in order: each a row, or a pair of a row and its nodes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where somebody's code is from."""

    name: str
    """``module:Name``, or ``file.py:Name``"""
    sha256: str
    """of the file; empty where there is none, as in an interactive session"""
    importable: bool = False
    """whether the name was given, so that :func:`load` finds it again"""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnOrder:
    """A user's compiled score of waiting jobs; use it as ``Policy(order=...)``."""

    function: Callable[..., Any]
    """as the engine calls it: ``(now, jobs, out, weights)``"""
    written: Callable[..., Any]
    """as the user wrote it"""
    source: Source

    def __call__(self, *arguments: Any) -> Any:
        """Call the user's function, compiled."""
        return self.written(*arguments)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnPlacement:
    """A user's compiled score of a node; use it as ``Policy(placement=...)``."""

    function: Callable[..., int]
    source: Source

    def __call__(self, *numbers: int) -> int:
        """Call the user's function, not compiled."""
        return self.function(*numbers)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnPolicy:
    """An object whose method ``decide`` is asked in every pass; use it as ``Policy(decide=...)``."""

    decider: Decider
    source: Source


_NODE_SCORE = 10
"""Arguments of a score of a node."""


def order(function: Callable[..., Any]) -> OwnOrder:
    """Compile a score of waiting jobs; the highest is tried first, ties by submit time, then by row.

    Parameters
    ----------
    function
        ``(now, jobs, out)`` or ``(now, jobs, out, weights)``: the instant in seconds; the waiting jobs, an array of
        records with the fields of ``gpuyard.kernel.contenders.FEATURES`` (seconds, GPUs), in no particular order;
        float64 of the same length, to be filled with their scores; the final weights of the policy, by
        :class:`gpuyard.kernel.scorers.Weight`.

    Raises
    ------
    ConfigError
        For a function that takes something else, or that Numba cannot compile.

    Examples
    --------
    >>> import gpuyard as gy
    >>> @gy.order
    ... def longest_wait(now, jobs, out):
    ...     for i in range(jobs.size):
    ...         out[i] = jobs[i]["wait"]
    >>> policy = gy.Policy(order=longest_wait, backfill="easy")
    """
    from gpuyard.kernel.jit import compiler
    from gpuyard.kernel.scorers import scorer_signature

    source = source_of(function)
    takes = len(inspect.signature(function).parameters)
    if takes not in (3, 4):
        raise ConfigError(f"order {source.name} takes {takes} arguments; it must take (now, jobs, out[, weights])")
    signature = scorer_signature()
    written = _compile(function, signature.return_type(*signature.args[:takes]), f"order {source.name}")
    if takes == 4:
        return OwnOrder(function=written, written=written, source=source)

    def scored(now: Any, jobs: Any, out: Any, weights: Any) -> None:
        written(now, jobs, out)

    adapted = scored if compiler.config.DISABLE_JIT else compiler.njit(signature)(scored)
    return OwnOrder(function=adapted, written=written, source=source)


def placement(function: Callable[..., int]) -> OwnPlacement:
    """Take a score of a node, to be compiled; the fitting node with the highest gets the chunk, ties the lowest.

    Parameters
    ----------
    function
        Whole numbers in, a whole number out: ``(free_gpus, gpus, free_milli, free_cpu, free_memory, gpu_type,
        wanted_gpus, wanted_milli, wanted_cpu, wanted_memory)``.  Of the node: its wholly free GPUs, all its GPUs,
        thousandths of a GPU free in all, thousandths of a core and MiB free, the number of its GPU type, 0
        for that of the lowest node.  Of the chunk: whole GPUs, thousandths of a GPU, thousandths of a core, MiB.

    Raises
    ------
    ConfigError
        For a function that takes something else.
    """
    source = source_of(function)
    takes = len(inspect.signature(function).parameters)
    if takes != _NODE_SCORE:
        raise ConfigError(f"placement {source.name} takes {takes} arguments; it must take {_NODE_SCORE}")
    return OwnPlacement(function=function, source=source)


def own_policy(decider: Decider) -> OwnPolicy:
    """Wrap an object that decides."""
    return OwnPolicy(decider=decider, source=source_of(type(decider)))


def load(name: str) -> OwnOrder | OwnPlacement | OwnPolicy:
    """Import what a user named: ``module:Name``, or ``file.py:Name``; a class is called without arguments.

    Importing runs the module: name only code that you would run.

    Raises
    ------
    ConfigError
        If there is no such module, file or name, or what it names is no policy.
    """
    where, _, what = name.rpartition(":")
    if not where or not what.isidentifier():
        raise ConfigError(f"'{name}' names no code; write module:Name or file.py:Name")
    try:
        module = _module(where)
    except GpuyardError:
        raise
    except Exception as problem:
        raise ConfigError(f"importing '{where}' raised {type(problem).__name__}: {problem}") from problem
    found = getattr(module, what, None)
    if found is None:
        nearest = get_close_matches(what, [each for each in vars(module) if not each.startswith("_")], n=1)
        raise ConfigError(
            f"'{where}' has no '{what}'; " + (f"did you mean '{nearest[0]}'?" if nearest else "check the name")
        )
    if isinstance(found, type) and hasattr(found, "decide"):
        found = found()
    if isinstance(found, Decider):
        found = own_policy(found)
    if isinstance(found, OwnOrder):
        return OwnOrder(function=found.function, written=found.written, source=_named(found.source, name))
    if isinstance(found, OwnPlacement):
        return OwnPlacement(function=found.function, source=_named(found.source, name))
    if isinstance(found, OwnPolicy):
        return OwnPolicy(decider=found.decider, source=_named(found.source, name))
    raise ConfigError(
        f"'{name}' is a {type(found).__name__}; it must be a class with a method 'decide', or what @gpuyard.order or "
        f"@gpuyard.placement made"
    )


def source_of(code: Any) -> Source:
    """Return where a function or class is from."""
    try:
        path = Path(inspect.getsourcefile(code) or "")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except (TypeError, OSError):
        return Source(name=f"{code.__module__}:{code.__qualname__}", sha256="")
    module = path.name if code.__module__ == "__main__" else code.__module__
    return Source(name=f"{module}:{code.__qualname__}", sha256=sha256)


def _named(source: Source, name: str) -> Source:
    return Source(name=name, sha256=source.sha256, importable=True)


def _module(where: str) -> Any:
    """Return the module of a name or of a file."""
    if not where.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(where)
        except ModuleNotFoundError as problem:
            if problem.name is None or not (where + ".").startswith(problem.name + "."):
                raise
            raise ConfigError(
                f"there is no module '{where}', neither installed nor in this folder; for a file write {where}.py:Name"
            ) from None
        finally:
            sys.path.remove(str(Path.cwd()))
    path = Path(where)
    if not path.is_file():
        raise ConfigError(f"there is no file '{where}'")
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    name = f"gpuyard_own_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ConfigError(f"'{where}' cannot be imported")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _compile(function: Callable[..., Any], signature: Any, what: str) -> Callable[..., Any]:
    """Return a function compiled for one signature, from the cache beside its file where there is one."""
    from gpuyard.kernel.jit import compiler

    if compiler.config.DISABLE_JIT:
        return function
    compiled: Callable[..., Any]
    try:
        if _has_file(function):
            try:
                compiled = compiler.njit(signature, cache=True)(function)
            except ImportError:  # what is kept was compiled under another name of the module
                compiled = compiler.njit(signature)(function)
        else:
            compiled = compiler.njit(signature)(function)
    except compiler.core.errors.NumbaError as problem:
        lines = [line for line in str(problem).splitlines() if line.strip()]
        raise ConfigError(f"{what} cannot be compiled: {' '.join(lines[:4])}") from problem
    return compiled


def _has_file(function: Callable[..., Any]) -> bool:
    try:
        return Path(inspect.getsourcefile(function) or "").is_file()
    except TypeError:
        return False
