"""install_wheel.py WHEEL DIRECTORY PYTHON: unpacks a wheel as an installer would.

Modules go to lib/pythonX.Y/site-packages, and the wheel's `.data` folders to
the places of the usual scheme. Nothing depends on the clock, the machine or
this interpreter: no byte code, no RECORD of one's own, no console scripts.
"""

import pathlib
import shutil
import sys
import zipfile


def destination(name: str, site_packages: pathlib.PurePosixPath) -> pathlib.PurePosixPath:
    """Where a member of the wheel belongs, relative to the tree."""
    path = pathlib.PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        sys.exit(f"the wheel has a member outside of its tree: {name}")
    if len(path.parts) < 3 or not path.parts[0].endswith(".data"):
        return site_packages / path
    rest = pathlib.PurePosixPath(*path.parts[2:])
    schemes = {
        "data": pathlib.PurePosixPath(),
        "headers": pathlib.PurePosixPath("include"),
        "platlib": site_packages,
        "purelib": site_packages,
        "scripts": pathlib.PurePosixPath("bin"),
    }
    if path.parts[1] not in schemes:
        sys.exit(f"the wheel has a member of an unknown scheme: {name}")
    return schemes[path.parts[1]] / rest


def main() -> None:
    """Unpacks the wheel."""
    wheel, tree, python = sys.argv[1:]
    site_packages = pathlib.PurePosixPath(f"lib/python{python}/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            relative = destination(member.filename, site_packages)
            target = pathlib.Path(tree, relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("xb") as out:
                start = source.read(len(b"#!python"))
                if relative.parts[0] == "bin" and start == b"#!python":
                    start = b"#!/usr/bin/env python3"
                out.write(start)
                shutil.copyfileobj(source, out)
            executable = (member.external_attr >> 16) & 0o111 or relative.parts[0] == "bin"
            target.chmod(0o755 if executable else 0o644)


if __name__ == "__main__":
    main()
