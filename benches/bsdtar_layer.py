#!/usr/bin/env python3
"""bsdtar in the place of pylayer: the same command line, an archive of the same files.

For the bench alone: no digests, no links seen through, no checks.
"""

import os
import subprocess
import sys
import tempfile

SKIPPED = {"direct_url.json", "uv_cache.json"}


def escape(path: str) -> str:
    """A path as mtree has it."""
    plain = b"-_./+"
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 or byte in plain else f"\\{byte:03o}"
        for byte in os.fsencode(path)
    )


def files(tree: str) -> list[str]:
    """The files of a tree that pylayer takes, relative to it, in order."""
    found = []
    for folder, folders, names in os.walk(tree, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            in_records = folder.endswith(".dist-info") and name in SKIPPED
            if not in_records and not name.endswith(".whl"):
                found.append(os.path.relpath(os.path.join(folder, name), tree))
    return sorted(found)


def expanded(argument: str) -> list[str]:
    """The sources of a segment, which is only a list of them here: every layer is compressed whole."""
    flag, _, value = argument.partition("=")
    if flag != "--segment":
        return [argument]
    with open(value, encoding="utf-8") as segment:
        return segment.read().splitlines()


def entries(arguments: list[str]) -> list[str]:
    """The lines of an mtree for the sources of `pylayer layer`."""
    lines, source = ["#mtree"], ("", "")
    arguments = [line for argument in arguments for line in expanded(argument)]

    def add(kind: str, to: str, content: str = "") -> None:
        lines.append(f"./{escape(to.strip('/'))} type={kind} mode=0755 uid=0 gid=0 time=1672560000.0{content}")

    for argument in arguments:
        flag, _, value = argument.partition("=")
        if flag in ("--tree", "--file", "--symlink", "--empty"):
            source = (flag, value)
        elif flag == "--to" and source[0] == "--tree":
            for name in files(source[1]):
                add("file", f"{value}/{name}", f" content={escape(os.path.abspath(os.path.join(source[1], name)))}")
        elif flag == "--to" and source[0] == "--file":
            add("file", value, f" content={escape(os.path.abspath(source[1]))}")
        elif flag == "--to" and source[0] == "--symlink":
            add("link", value, f" link={escape(source[1])}")
        elif flag == "--to" and source[0] == "--empty":
            add("file", value, " content=/dev/null")
    return lines


def main() -> None:
    """Does what the params file says."""
    arguments = open(sys.argv[-1][1:], encoding="utf-8").read().splitlines()
    values = dict(argument.partition("=")[::2] for argument in arguments)
    if arguments[0] == "check":
        open(values["--output"], "w", encoding="utf-8").close()
        return
    if arguments[0] == "segment":
        with open(values["--output"], "w", encoding="utf-8") as segment:
            segment.write("\n".join(arguments))
        return
    with open(values["--metadata"], "w", encoding="utf-8") as metadata:
        metadata.write("{}\n")
    with tempfile.NamedTemporaryFile("w", suffix=".mtree") as mtree:
        mtree.write("\n".join(entries(arguments)) + "\n")
        mtree.flush()
        subprocess.run(
            ["bsdtar", "--create", "--gzip", "--options", "gzip:compression-level=6,gzip:!timestamp"]
            + ["--file", values["--output"], f"@{mtree.name}"],
            check=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )


main()
