"""What is compiled is found again by the next process, and never when any source of the kernel has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KERNEL = Path(__file__).parents[2] / "src" / "gpuyard" / "kernel"

HELPER = """
from gpuyard.kernel.jit import kernel

@kernel
def helper(x: int) -> int:
    return x + {step}
"""
CALLER = """
from gpuyard.kernel.helper import helper
from gpuyard.kernel.jit import kernel

@kernel
def caller(x: int) -> int:
    return helper(x)
"""
RUN = "from gpuyard.kernel.caller import caller; print(caller(1), sum(caller.stats.cache_hits.values()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with a package whose kernel holds a caller and, in another file, its helper."""
    kernel = tmp_path / "gpuyard" / "kernel"
    kernel.mkdir(parents=True)
    for name in ("gpuyard/__init__.py", "gpuyard/kernel/__init__.py"):
        (tmp_path / name).touch()
    shutil.copy(KERNEL / "jit.py", kernel)
    (kernel / "helper.py").write_text(HELPER.format(step=1))
    (kernel / "caller.py").write_text(CALLER)
    return tmp_path


def run_in_new_process(package: Path, code: str = RUN) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(package)}
    environment |= {
        "PYTHONDONTWRITEBYTECODE": "1"
    }  # of two texts of one size and one second, Python would run the first
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=package
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_second_process_finds_what_the_first_compiled(package: Path) -> None:
    assert run_in_new_process(package) == ["2", "0"]
    assert run_in_new_process(package) == ["2", "1"]


def test_an_edit_of_a_helper_in_another_file_is_noticed(package: Path) -> None:
    assert run_in_new_process(package) == ["2", "0"]
    (package / "gpuyard" / "kernel" / "helper.py").write_text(HELPER.format(step=10))
    assert run_in_new_process(package) == ["11", "0"]


def test_without_the_stamp_of_all_sources_the_edit_would_go_unnoticed(package: Path) -> None:
    """The fault that the stamp prevents is real: hash one file alone, and the old code runs."""
    jit = package / "gpuyard" / "kernel" / "jit.py"
    whole = jit.read_text()
    narrow = whole.replace('folder.glob("*.py")', 'folder.glob("caller.py")')
    assert narrow != whole
    jit.write_text(narrow)
    assert run_in_new_process(package) == ["2", "0"]
    (package / "gpuyard" / "kernel" / "helper.py").write_text(HELPER.format(step=10))
    assert run_in_new_process(package) == ["2", "1"]


def test_the_index_of_another_version_is_not_even_opened(package: Path) -> None:
    run_in_new_process(package)
    for index in package.rglob("*.nbi"):
        index.write_bytes(b"of another version, with classes that are gone")
    (package / "gpuyard" / "kernel" / "helper.py").write_text(HELPER.format(step=5))
    assert run_in_new_process(package) == ["6", "0"]


def test_a_compiler_setting_that_changes_the_code_changes_the_stamp(package: Path) -> None:
    show = "from gpuyard.kernel.jit import STAMP; print(STAMP.hex())"
    plain = run_in_new_process(package, show)
    checked = run_in_new_process(package, f"import os; os.environ['NUMBA_BOUNDSCHECK'] = '1'; {show}")
    assert plain != checked


def test_garbage_is_left_while_the_compiler_works_and_collected_again_after(package: Path) -> None:
    code = """
import gc
from gpuyard.kernel.caller import caller
from gpuyard.kernel.jit import compiled_for, compiler

looked = []
gc.callbacks.append(lambda phase, about: looked.append(phase))
compiled_for(caller, (compiler.types.int64,))
print(len(caller.signatures), len(looked) < 10, gc.isenabled())
"""
    assert run_in_new_process(package, code) == ["1", "True", "True"]


def test_a_whole_keeps_its_parts_to_itself_so_that_they_are_handed_only_what_they_use(package: Path) -> None:
    code = """
from numba.core.codegen import JITCodeLibrary

optimize, shared = JITCodeLibrary._optimize_final_module, []

def look(library):
    defined = [each for each in library._final_module.functions if not each.is_declaration]
    shared.append(sum(each.linkage.name == "linkonce_odr" for each in defined))
    shared.append(sum("helper" in each.name for each in defined))
    optimize(library)

JITCodeLibrary._optimize_final_module = look
from gpuyard.kernel.caller import caller
caller(1)
print(*shared[-2:])
"""
    assert run_in_new_process(package, code) == ["0", "1"]
