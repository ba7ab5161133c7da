"""Run a command and write what it took, as JSON: child.py REPORT COMMAND...

A process's peak memory includes what the process that started it held, so this one imports nothing large.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main(report: str, *command: str) -> None:
    begun = time.perf_counter()
    code = subprocess.call(command)
    wall_s = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    taken = {
        "code": code,
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_bytes": used.ru_maxrss * unit,
    }
    Path(report).write_text(json.dumps(taken), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
