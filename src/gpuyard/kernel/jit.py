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
from numba.core import caching
from numba.core.registry import CPUDispatcher

__all__ = ["cache_stamp", "compiled_for", "inlined", "inner", "inner_inlined", "is_kept", "kernel", "pointed"]

compiler: Any = numba
"""Numba, where its own types say less than it can do."""

P = ParamSpec("P")
R = TypeVar("R")


def cache_stamp(folder: Path) -> bytes:
    """Return the hash of all kernel sources in a folder and of the compiler settings."""
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(f"{compiler.config.OPT}{compiler.config.BOUNDSCHECK}{compiler.config.DEBUGINFO_DEFAULT}".encode())
    return digest.digest()


STAMP = cache_stamp(Path(__file__).parent)


class _Stamped:
    """Keep what was compiled from other sources in other folders: an old index may not even be readable."""

    def get_cache_path(self) -> str:
        folder: str = super().get_cache_path()  # type: ignore[misc]  # of the locator it is mixed into
        return str(Path(folder) / f"gpuyard-{STAMP.hex()[:16]}")

    def get_source_stamp(self) -> bytes:
        return STAMP


class _Provided(_Stamped, caching.UserProvidedCacheLocator):
    pass


class _InTree(_Stamped, caching.InTreeCacheLocator):
    pass


class _UserWide(_Stamped, caching.UserWideCacheLocator):
    pass


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = [_Provided, _InTree, _UserWide]  # noqa: RUF012  # as in numba's own class


class _KernelCache(caching.FunctionCache):
    _impl_class = _Implementation


class _Inner(CPUDispatcher):
    """A function without the code that unpacks Python's arguments, a fifth of what would be compiled."""

    def __call__(self, *arguments: object) -> object:
        raise TypeError(f"{self.py_func.__name__} is called by other kernels only")


def _compiled(function: Callable[P, R], *, inner: bool, **options: Any) -> Callable[P, R]:
    inner = inner or function.__name__.startswith("_")
    if inner:
        options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True} | options
    dispatcher = compiler.njit(nogil=True, _nrt=False, **options)(function)
    if not compiler.config.DISABLE_JIT:
        if inner:
            dispatcher.__class__ = _Inner
        dispatcher._cache = _KernelCache(dispatcher.py_func)  # type: ignore[no-untyped-call]
        compile_for = dispatcher.compile
        dispatcher.compile = lambda arguments: compile_for(tuple(_widest(each) for each in arguments))
    return cast("Callable[P, R]", dispatcher)


def compiled_for(function: Callable[P, R], arguments: tuple[Any, ...]) -> Callable[P, R]:
    """Return a kernel compiled, or found in the cache, for just these argument compiler.types.

    A user's function, which was compiled for one signature when it was made, is returned as it is.
    """
    if not cast("Any", function)._can_compile:
        return function
    return cast("Any", function).compile(arguments)


def is_kept(function: Callable[..., object]) -> bool:
    """Return whether a kernel is compiled in this process or in the cache."""
    kept = cast("Any", function)
    if compiler.config.DISABLE_JIT or kept.signatures:
        return True
    return bool(kept._cache._cache_file._load_index())


def _widest(argument: Any) -> Any:
    """Return the one type that stands for all whole numbers, so that no function is compiled for each of them."""
    plain = compiler.types.unliteral(argument)
    if isinstance(plain, compiler.types.IntEnumMember) or (
        isinstance(plain, compiler.types.Integer) and plain != compiler.types.boolean
    ):
        return compiler.types.int64
    return plain


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile, cache on disk, release the GIL.  No fastmath: it would assume that no time is infinite.

    A function whose name begins with an underscore is compiled as by :func:`inner`.
    """
    return _compiled(function, inner=False)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a function that only other kernels call: it compiles faster."""
    return _compiled(function, inner=True)


def pointed(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`inner`, for a function that kernels call by pointer."""
    return _compiled(function, inner=True, no_cfunc_wrapper=False)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a small function on the hot path: its call would cost more than its work."""
    return _compiled(function, inner=False, forceinline=True)


def inner_inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`inlined`, for a function that only other kernels call."""
    return _compiled(function, inner=True, forceinline=True)
