"""The one place that knows how functions are compiled and cached.

Numba caches a compiled function under the hash of its own file only, so an edit of a helper in
another file would silently run the old code.  Here the stamp of every function is the hash of all
kernel sources, together with the compiler settings that Numba leaves out of its key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import types
from numba.core import caching

__all__ = ["cache_stamp", "compiled_for", "inlined", "kernel", "spliced"]

P = ParamSpec("P")
R = TypeVar("R")


def cache_stamp(folder: Path) -> bytes:
    """Return the hash of all kernel sources in a folder and of the compiler settings."""
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(f"{numba.config.OPT}{numba.config.BOUNDSCHECK}{numba.config.DEBUGINFO_DEFAULT}".encode())
    return digest.digest()


STAMP = cache_stamp(Path(__file__).parent)


class _InTree(caching.InTreeCacheLocator):  # type: ignore[misc]  # numba has no types
    def get_source_stamp(self) -> bytes:
        return STAMP


class _UserWide(caching.UserWideCacheLocator):  # type: ignore[misc]
    def get_source_stamp(self) -> bytes:
        return STAMP


class _Provided(caching.UserProvidedCacheLocator):  # type: ignore[misc]
    def get_source_stamp(self) -> bytes:
        return STAMP


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Provided, _InTree, _UserWide)


class _KernelCache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _Implementation


def _compiled(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    dispatcher = numba.njit(nogil=True, _nrt=False, **options)(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = _KernelCache(dispatcher.py_func)
        compile_for = dispatcher.compile
        dispatcher.compile = lambda arguments: compile_for(tuple(_widest(each) for each in arguments))
    return cast("Callable[P, R]", dispatcher)


def compiled_for(function: Callable[P, R], arguments: tuple[Any, ...]) -> Callable[P, R]:
    """Return a kernel compiled, or found in the cache, for just these argument types."""
    return cast("Any", function).compile(arguments)  # type: ignore[no-any-return]


def _widest(argument: Any) -> Any:
    """Return the one type that stands for all whole numbers, so that no function is compiled for each of them."""
    plain = types.unliteral(argument)
    if isinstance(plain, types.IntEnumMember) or (isinstance(plain, types.Integer) and plain != types.boolean):
        return types.int64
    return plain


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile, cache on disk, release the GIL.  No fastmath: it would assume that no time is infinite."""
    return _compiled(function)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a small function on the hot path: its call would cost more than its work."""
    return _compiled(function, forceinline=True)


def spliced(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a part of one larger function: it is never compiled by itself, which would cost seconds."""
    return _compiled(function, inline="always")
