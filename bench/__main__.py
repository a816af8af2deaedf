"""The measurements that have a bar, and `live`, one after the other, and one table: `python -m bench [NAME …]`.

Each is a program of its own, whose lines that begin with `ok` or `BROKEN` are bars. README.md here says what they measure.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

# Name: the arguments of `python -m`, and those of a quick run. A row more is all that a new measurement needs.
MEASUREMENTS: dict[str, tuple[list[str], list[str]]] = {
    "rest": (["bench.rest"], ["bench.rest", "--seconds", "30", "--starts", "1"]),
    "into_dom": (["bench.into_dom", "200"], ["bench.into_dom", "20"]),
    "order": (["bench.order"], ["bench.order", "--orders", "10"]),
    "polling": (["bench.polling"], ["bench.polling", "delay"]),
    "gap": (["bench.gap", "--orders", "12"], ["bench.gap", "--orders", "5"]),
    "waits": (["bench.waits"], ["bench.waits", "quick"]),
    "pages": (["bench.pages"], ["bench.pages", "0.5", "3"]),
    "live": (["bench.live", "200"], ["bench.live", "20"]),
    "scale": (["bench.scale", "--rounds", "12"], ["bench.scale", "--rounds", "5"]),
}
# What these compare with comes with bench/requirements.txt.
PEERS = {"pages": ("gunicorn", "a2wsgi"), "live": ("django_eventstream", "a2wsgi")}
QUICK_SIZES = [1000, 30_000]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, all by default; returns 1 where a bar is missed or a program fails."""
    parser = argparse.ArgumentParser("bench", description="Measure the desk. The machine should do nothing else.")
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], default=[])
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and few rounds: whether it runs, not how fast"
    )
    parser.add_argument(
        "--folder", type=Path, help="where the databases of `scale` stay; those that are there are used"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[], help="rentals of `scale`, rising")
    options = parser.parse_args(arguments)
    sizes = options.sizes or (QUICK_SIZES if options.quick else [])
    of_scale = [*map(str, sizes), *(["--folder", str(options.folder)] if options.folder else [])]
    rows, broken, first = [], False, time.monotonic()
    for name in options.names or MEASUREMENTS:
        print(f"== {name}, load {os.getloadavg()[0]:.1f}", flush=True)
        begun = time.monotonic()
        missing = [module for module in PEERS.get(name, ()) if find_spec(module) is None]
        if missing:
            rows.append(f"{name:<10} left out: pip install -r bench/requirements.txt brings {', '.join(missing)}")
            continue
        lines, failed = _run([*MEASUREMENTS[name][options.quick], *(of_scale if name == "scale" else [])])
        bars = [line for line in lines if line.startswith(("ok ", "BROKEN "))]
        failed = failed or any(line.startswith("BROKEN ") for line in bars)
        rows += [f"{name:<10} {line}" for line in bars or [f"{'BROKEN' if failed else 'ok    '} see above"]]
        print(f"   {time.monotonic() - begun:.0f} s", flush=True)
        broken = broken or failed
    print("", *rows, f"{(time.monotonic() - first) / 60:.0f} minutes", sep="\n")
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
