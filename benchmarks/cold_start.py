"""What a cold start costs: importing function_app against importing azure.functions alone: `python -m benchmarks.cold_start`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9
GOAL = 1.3


def seconds(module: str) -> float:
    """Importing a module in a fresh process, as that process measures it."""
    code = f"import time; begun = time.perf_counter(); import {module}; print(time.perf_counter() - begun)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own words
    return float(done.stdout)


def main() -> None:
    """Both in turn, so that neither has a warmer machine."""
    begun = time.perf_counter()
    pairs = [(seconds("azure.functions"), seconds("function_app")) for _ in range(ROUNDS + 1)][1:]
    bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"azure.functions {bare * 1e3:.0f} ms, function_app {ours * 1e3:.0f} ms: ratio {ours / bare:.2f} (goal {GOAL} at most)")
    print(f"{ROUNDS} rounds in {time.perf_counter() - begun:.0f} s")
    sys.exit(ours / bare > GOAL)


if __name__ == "__main__":
    main()
