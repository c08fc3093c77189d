"""The example's hub, `example_hub.py`, whose packages are `py_unpacked_wheel`s.

rules_py makes an environment of links to what a wheel has in `site-packages`, and has to be told that.
"""

import json
import pathlib
import sys
import zipfile

import example_hub

example_hub.BUILD = """\
load("@aspect_rules_py//py:defs.bzl", "py_library", "py_unpacked_wheel")
load("//wheels:top_levels.bzl", "TOP_LEVELS")

py_unpacked_wheel(
    name = "wheel",
    src = "//wheels:{file}",
    top_levels = TOP_LEVELS["{file}"],
)

py_library(
    name = "{name}",
    visibility = ["//visibility:public"],
    deps = [":wheel"] + {deps},
)
"""


def top_levels(wheel: pathlib.Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted({name.split("/")[0] for name in archive.namelist() if ".data/" not in name})


example_hub.main()
folder = pathlib.Path(sys.argv[1])
found = {wheel.name: top_levels(wheel) for wheel in folder.glob("*.whl")}
(folder / "top_levels.bzl").write_text(f"TOP_LEVELS = {json.dumps(found)}\n")
