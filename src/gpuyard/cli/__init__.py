"""The command ``gpuyard``: the only part that prints.

Exit codes: 0 good, 1 a goal was missed, 2 bad input or usage, 3 a fault of gpuyard itself, 130 stopped
with Ctrl-C.  Data goes to stdout, progress and messages to stderr.  Nothing heavy is imported before a
command needs it, so that ``gpuyard --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from textwrap import shorten
from typing import NoReturn

from gpuyard.cli.process import leave, prepare
from gpuyard.cli.terminal import ReaderLeft, emit
from gpuyard.errors import EngineError, GpuyardError

__all__ = ["command", "main"]

GOOD, MISSED, BAD_INPUT, FAULT, STOPPED = 0, 1, 2, 3, 130


def command() -> NoReturn:
    """Run the command of a process that is there for nothing else, and end the process."""
    prepare()
    leave(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; ``arguments`` default to those of the process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        code = _dispatch([word for word in words if word != "--debug"])
    except KeyboardInterrupt:
        return _stopped()
    except ReaderLeft:
        return _reader_left()
    except Exception as error:
        if debug:
            raise
        return _explain(error)
    return _stopped() if code == STOPPED else code


def _dispatch(words: list[str]) -> int:
    from gpuyard.cli.commands import app

    code = app(args=words, prog_name="gpuyard", standalone_mode=False)
    return code if isinstance(code, int) else GOOD


def _explain(error: Exception) -> int:
    """Write one line on what went wrong; return the exit code."""
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of the command line's own
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            emit(error.format_message())
            return GOOD
        _say(f"{error.format_message()} (try '{context.command_path if context else 'gpuyard'} --help')")
        return BAD_INPUT
    if isinstance(error, EngineError):
        _say(f"{error} (a fault of gpuyard: please report it, with what --debug shows)")
        return FAULT
    if isinstance(error, GpuyardError):
        _say(str(error))
        return BAD_INPUT
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        _say(f"{place}{error.strerror or error}")
        return BAD_INPUT
    what = " ".join(f"{type(error).__name__}: {error}".split())
    _say(f"{shorten(what, 300, placeholder=' ...')} (a fault of gpuyard: please report it, with what --debug shows)")
    return FAULT


def _say(message: str) -> None:
    sys.stderr.write("gpuyard: " + " ".join(message.split()) + "\n")


def _stopped() -> int:
    """Leave at once: a thread may still be inside compiled code, and nothing of it is wanted any more."""
    _say("stopped; nothing was written")
    sys.stderr.flush()
    if "numba" in sys.modules:
        os._exit(STOPPED)
    return STOPPED


def _reader_left() -> int:
    """Whoever read stdout has seen enough (``| head``): be quiet, also while Python shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return GOOD
