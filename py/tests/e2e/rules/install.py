#!/usr/bin/env python3
"""install.py SOURCE TREE: installs a wheel.

SOURCE is a wheel, a directory with one, or a JSON file with `files` (path -> text), `links` (path ->
text of the link), `many` (a number of further modules), and `zeros` (path -> size of a file of
zeros). Paths are relative to site-packages.
"""

import json
import os
import pathlib
import sys
import zipfile


def main() -> None:
    """Writes the tree."""
    source = pathlib.Path(sys.argv[1])
    root = pathlib.Path(sys.argv[2], "lib/python3.11/site-packages")
    if source.is_dir():
        (source,) = source.iterdir()
    if source.suffix == ".whl":
        with zipfile.ZipFile(source) as wheel:
            wheel.extractall(root)
    else:
        from_spec(json.loads(source.read_text(encoding="utf-8")), root)


def from_spec(spec: dict, root: pathlib.Path) -> None:
    """Writes what a JSON file says."""
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
