#!/usr/bin/env python3
"""build_wheel.py SPEC DIRECTORY NAME: makes a wheel of a JSON file, in a directory.

SPEC is as install.py has it: `files`, and `zeros`.
"""

import json
import pathlib
import sys
import zipfile


def main() -> None:
    """Writes the wheel."""
    spec = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    files = {path: text.encode() for path, text in spec["files"].items()}
    files.update({path: bytes(size) for path, size in spec.get("zeros", {}).items()})
    wheel = pathlib.Path(sys.argv[2], sys.argv[3] + "-1.0-py3-none-any.whl")
    # The fastest level: no other compressor gives these streams.
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, contents in files.items():
            archive.writestr(zipfile.ZipInfo(path), contents, zipfile.ZIP_DEFLATED, compresslevel=1)


if __name__ == "__main__":
    main()
