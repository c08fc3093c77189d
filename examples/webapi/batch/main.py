"""A batch job: statistics of numbers, one a line, on standard input.

    batch < NUMBERS         prints them as JSON
    batch --self-check      does so for four numbers of its own
"""

import argparse
import json
import sys
from collections.abc import Iterable
from importlib import metadata

from stats.summary import describe


def answer(lines: Iterable[str]) -> dict[str, float]:
    """Statistics of the numbers in the lines that are not empty."""
    return describe([float(line) for line in lines if line.strip()])


def self_check() -> int:
    """The statistics of four numbers have to be right."""
    found = answer(["1\n", "2\n", "\n", "3\n", "4"])
    ok = found["count"] == 4 and found["mean"] == 2.5
    versions = {name: metadata.version(name) for name in ("numpy", "pandas")}
    print(json.dumps({"ok": ok, "answer": found, "versions": versions}))
    return 0 if ok else 1


def main() -> int:
    """Reads the command line and the numbers."""
    parser = argparse.ArgumentParser(description="Statistics of numbers on standard input.")
    parser.add_argument("--self-check", action="store_true")
    if parser.parse_args().self_check:
        return self_check()
    print(json.dumps(answer(sys.stdin)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
