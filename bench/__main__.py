"""All measurements that have a bar, one after the other, and one table: `python -m bench [NAME …]`.

Each is a program of its own, whose lines that begin with `ok` or `BROKEN` are bars. README.md here says what they measure.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

# Name: the arguments of `python -m`. A row more is all that a new measurement needs.
MEASUREMENTS: dict[str, list[str]] = {
    "rest": ["bench.rest"],
    "into_dom": ["bench.into_dom", "200"],
    "order": ["bench.order"],
    "polling": ["bench.polling"],
    "gap": ["bench.gap"],
    "waits": ["bench.waits"],
    "scale": ["bench.scale"],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, all by default; returns 1 where a bar is missed or a program fails."""
    parser = argparse.ArgumentParser("bench", description="Measure the desk. The machine should do nothing else.")
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], default=list(MEASUREMENTS))
    rows, broken = [], False
    for name in parser.parse_args(arguments).names:
        print(f"== {name}, load {os.getloadavg()[0]:.1f}", flush=True)
        begun = time.monotonic()
        lines, failed = _run(MEASUREMENTS[name])
        bars = [line for line in lines if line.startswith(("ok ", "BROKEN "))]
        rows += [f"{name:<10} {line}" for line in bars or [f"{'BROKEN' if failed else 'ok    '} see above"]]
        print(f"   {time.monotonic() - begun:.0f} s", flush=True)
        broken = broken or failed
    print("", *rows, sep="\n")
    return int(broken)


def _run(module: list[str]) -> tuple[list[str], bool]:
    """Run a program, printing what it prints; return its lines, and whether it failed."""
    lines = []
    with subprocess.Popen([sys.executable, "-m", *module], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    return lines, process.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
