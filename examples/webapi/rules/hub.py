"""Writes the BUILD files of the wheels in a folder: one package of the repository a wheel.

The labels are `@pip//numpy`, named as PEP 503 says; a wheel's `deps` are those
of its requirements that apply here.
"""

import email.parser
import pathlib
import re
import sys
import zipfile

from pip._vendor.packaging.requirements import Requirement

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

BUILD = """\
load("@webapi//rules:wheel_install.bzl", "wheel_install")

wheel_install(
    name = "{name}",
    python = "{python}",
    visibility = ["//visibility:public"],
    wheel = "//wheels:{file}",
    deps = {deps},
)
"""


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements_of(wheel: pathlib.Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        path = next(p for p in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", p))
        headers = email.parser.Parser().parsestr(archive.read(path).decode())
    lines = [Requirement(line) for line in headers.get_all("Requires-Dist", [])]
    return sorted({normalize(r.name) for r in lines if not r.marker or r.marker.evaluate({"extra": ""})})


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    wheels = {normalize(wheel.name.split("-")[0]): wheel for wheel in sorted(folder.glob("*.whl"))}
    for name, wheel in wheels.items():
        missing = [needed for needed in requirements_of(wheel) if needed not in wheels]
        if missing:
            sys.exit(f"{name} needs {', '.join(missing)}, which requirements.txt does not have")
        deps = [f"//{needed}" for needed in requirements_of(wheel)]
        package = pathlib.Path(name)
        package.mkdir()
        text = BUILD.format(name=name, python=PYTHON, file=wheel.name, deps=repr(deps).replace("'", '"'))
        (package / "BUILD.bazel").write_text(text)
    (folder / "BUILD.bazel").write_text('exports_files(glob(["*.whl"]))\n')


if __name__ == "__main__":
    main()
