#!/usr/bin/env python3
"""install.py SPEC TREE: makes an installed wheel of a JSON file.

SPEC has `files` (path -> text), `links` (path -> text of the link), `many` (a
number of further modules), and `zeros` (path -> size of a file of zeros). Paths are relative to site-packages.
"""

import json
import os
import pathlib
import sys


def main() -> None:
    """Writes the tree."""
    spec = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    root = pathlib.Path(sys.argv[2], "lib/python3.11/site-packages")
    files = dict(spec.get("files", {}))
    files.update({f"many/m{number}.py": f"N = {number}\n" for number in range(spec.get("many", 0))})
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    for path, size in spec.get("zeros", {}).items():
        (root / path).write_bytes(bytes(size))
    for path, text in spec.get("links", {}).items():
        os.symlink(text, root / path)


if __name__ == "__main__":
    main()
