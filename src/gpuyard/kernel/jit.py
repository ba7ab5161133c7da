"""The one place that knows how functions are compiled and cached.

Numba caches a compiled function under the hash of its own file only, so an edit of a helper in
another file would silently run the old code.  Here the stamp of every function is the hash of all
kernel sources, together with the compiler settings that Numba leaves out of its key.

A function that other kernels call is linked into each of them and optimised there again, so machine code of its own
would never run.  Numba emits it all the same, and optimises it with everything it calls linked in; both together take
half of the time of a first run.  Here such a function is a *part*: optimised alone, and linked only into a *whole*,
which is a function that Python or a pointer calls.  The same function can be both, and then is compiled for each.
Numba has no setting for this, so :class:`_Part` and :class:`_Whole` change how its code libraries are finished; where
a Numba has not the methods they change, everything is compiled its way.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import caching
from numba.core.codegen import CPUCodegen, JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.environment import lookup_environment
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


_CHANGED = (
    "finalize",
    "add_linking_library",
    "get_pointer_to_function",
    "_optimize_final_module",
    "_optimize_functions",
    "_finalize_specific",
)
_USED = ("_raise_if_finalized", "_finalize_dynamic_globals")
HAS_PARTS = (
    hasattr(Compiler, "_compile_bytecode")
    and all(hasattr(JITCodeLibrary, each) for each in _CHANGED + _USED)
    and hasattr(CPUCodegen, "_function_pass_manager")
)
"""Whether Numba finishes its code libraries in the steps that are changed here."""


class _Library(JITCodeLibrary):
    """Code whose functions are simplified by one pass manager.

    Numba makes one for each function, those that are declared only included: a twentieth of a first run.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager()  # type: ignore[no-untyped-call]
        for function in ll_module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


class _Part(_Library):
    """Code that is only ever linked into other code, without what it calls itself: a whole links that once."""

    def finalize(self) -> None:
        self._raise_if_finalized()  # type: ignore[no-untyped-call]
        self._optimize_final_module()  # type: ignore[no-untyped-call]
        self._finalize_dynamic_globals()  # type: ignore[no-untyped-call]
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    @property
    def codegen(self) -> Any:
        return self  # asked for to set the environment, which is set in the whole

    def set_env(self, name: str, environment: object) -> None:
        pass


class _Whole(_Library):
    """Code that runs, with all its parts and theirs.

    Nobody else calls its copies of them.  LLVM is told so, and then hands each only what it uses of the tables that it
    is given; otherwise every call copies every array of every table, five to seven words each.
    """

    def add_linking_library(self, library: Any) -> None:
        super().add_linking_library(library)  # type: ignore[no-untyped-call]
        if isinstance(library, _Part):
            for each in library._linking_libraries:
                if each not in self._linking_libraries:
                    self.add_linking_library(each)

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name == "linkonce_odr":
                function.linkage = "internal"
        super()._optimize_final_module()  # type: ignore[no-untyped-call]

    def _finalize_specific(self) -> None:
        super()._finalize_specific()  # type: ignore[no-untyped-call]
        for variable in self._final_module.global_variables:
            environment = lookup_environment(variable.name)  # type: ignore[no-untyped-call]
            if environment is not None:
                self.codegen.set_env(variable.name, environment)


class _PartCompiler(Compiler):
    def _compile_bytecode(self) -> Any:
        state = self.state
        library: Any = _Part
        state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
        return super()._compile_bytecode()  # type: ignore[no-untyped-call]


class _WholeCompiler(Compiler):
    def _compile_bytecode(self) -> Any:
        state = self.state
        library: Any = _Whole
        state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super()._compile_bytecode()  # type: ignore[no-untyped-call]


class _Called(CPUDispatcher):
    """A function that Python or a pointer calls; other kernels are given its part."""

    part: Any

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return self.part.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        return self.part.get_overload(sig)


class _Pointed(_Called):
    """A function without the code that unpacks Python's arguments, a fifth of what would be compiled."""

    def __call__(self, *arguments: object) -> object:
        raise TypeError(f"{self.py_func.__name__} is called by pointer only")


class _Inner(CPUDispatcher):
    """A function that Python cannot call."""

    def __call__(self, *arguments: object) -> object:
        raise TypeError(f"{self.py_func.__name__} is called by other kernels only")


def _compiled(function: Callable[P, R], kind: type[CPUDispatcher], **options: Any) -> Callable[P, R]:
    """Return a function to be compiled as this kind of dispatcher, or, with the JIT off, the function as it is."""
    if kind is _Called and function.__name__.startswith("_"):
        kind = _Inner
    if kind is not _Called:
        options["no_cpython_wrapper"] = True
    if kind is not _Pointed:
        options["no_cfunc_wrapper"] = True
    if HAS_PARTS:
        options["pipeline_class"] = _PartCompiler if kind is _Inner else _WholeCompiler
    dispatcher = compiler.njit(nogil=True, _nrt=False, **options)(function)
    if compiler.config.DISABLE_JIT:
        return cast("Callable[P, R]", dispatcher)
    dispatcher.__class__ = kind
    if kind is not _Inner:  # nor is a part kept on disk: whoever finds the whole there needs none
        dispatcher._cache = _KernelCache(dispatcher.py_func)  # type: ignore[no-untyped-call]
        dispatcher.part = _compiled(function, _Inner, forceinline=options.get("forceinline", False))
    compile_for = dispatcher.compile
    dispatcher.compile = lambda arguments: compile_for(tuple(_widest(each) for each in arguments))
    return cast("Callable[P, R]", dispatcher)


def compiled_for(function: Callable[P, R], arguments: tuple[Any, ...]) -> Callable[P, R]:
    """Return a kernel compiled, or found in the cache, for just these argument compiler.types.

    A user's function, which was compiled for one signature when it was made, is returned as it is.
    """
    if not cast("Any", function)._can_compile:
        return function
    with _uncollected():
        return cast("Callable[P, R]", cast("Any", function).compile(arguments))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage where it is: looking again and again through all that the compiler keeps is a tenth of its work."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


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
    return _compiled(function, _Called)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a function that only other kernels call: it is never a whole."""
    return _compiled(function, _Inner)


def pointed(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`inner`, for a function that kernels call by pointer."""
    return _compiled(function, _Pointed)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`kernel`, for a small function on the hot path: its call would cost more than its work."""
    return _compiled(function, _Called, forceinline=True)


def inner_inlined(function: Callable[P, R]) -> Callable[P, R]:
    """As :func:`inlined`, for a function that only other kernels call."""
    return _compiled(function, _Inner, forceinline=True)
