#!/usr/bin/env python3
"""Measures what images cost at analysis, and writes docs/explanation/analysis-cost.md.

    python3 py/tests/analysis_cost.py [--output docs/explanation/analysis-cost.md]

Makes a workspace of 60 packages of 500 files and of 100 images with all of
them, and has Bazel analyse 1, 10 and 100 of these, each time with a new server.
Needs Bazel 7 or later: BAZEL, else `bazel`; the worker is PYLAYER_BINARY, or target/release/pylayer.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent / "e2e"))

from bazel import BAZEL, MODULE_COMMANDS, REPOSITORY  # noqa: E402

PACKAGES, FILES, IMAGES = 60, 500, (1, 10, 100)
KINDS = ("tree", "file")
GROWTH = (1, FILES, 10 * FILES)
MNEMONICS = ("PyImageSegment", "PyImagePkgLayer", "PyImageMergedLayer", "PyImageLayer", "PyImageLayerValidate", "FileWrite")

MODULE = """\
module(name = "cost")

bazel_dep(name = "pylayer", version = "0.1.0")
"""

RULES = """\
_COMMAND = "mkdir -p $1/lib/python3.11/site-packages && cd $1/lib/python3.11/site-packages && for n in $(seq $2); do : > $3_$n.py; done"

def _tree_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".install")
    ctx.actions.run_shell(
        arguments = [tree.path, str(ctx.attr.files), ctx.label.name],
        command = _COMMAND,
        mnemonic = "Install",
        outputs = [tree],
    )
    files = depset([tree])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files)), OutputGroupInfo(install_dir = files)]

tree_package = rule(implementation = _tree_impl, attrs = {"files": attr.int()})

def _files_impl(ctx):
    folder = "%s/lib/python3.11/site-packages/%s_" % (ctx.label.name, ctx.label.name)
    outputs = [ctx.actions.declare_file("%s%d.py" % (folder, number)) for number in range(ctx.attr.files)]
    args = ctx.actions.args()
    args.add_all(outputs)
    ctx.actions.run_shell(arguments = [args], command = 'touch "$@"', mnemonic = "Install", outputs = outputs)
    files = depset(outputs)
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files)), OutputGroupInfo(install_dir = files)]

file_package = rule(implementation = _files_impl, attrs = {"files": attr.int()})

def _binary_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\\n", is_executable = True)
    runfiles = ctx.runfiles(files = [launcher])
    for dep in ctx.attr.deps:
        runfiles = runfiles.merge(dep[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = launcher, runfiles = runfiles)]

binary = rule(implementation = _binary_impl, attrs = {"deps": attr.label_list()}, executable = True)
"""

# Of the packages a sixth has layers of its own, a third is in two groups, half in none.
BUILD = """\
load("@pylayer//py:defs.bzl", "py_image_layer", "py_layer_tier")
load("//:rules.bzl", "binary", "{kind}_package")

NAMES = ["p%d" % number for number in range({packages})]

[{kind}_package(name = name, files = {files}) for name in NAMES]

# As many digits in each name: they are in the arguments.
[{kind}_package(name = "growth_%d" % (10000 + files), files = files) for files in {growth}]

py_layer_tier(
    name = "tier",
    groups = dict(
        [("@pip//p%d" % n, "own_%d" % n) for n in range({packages} // 6)] +
        [("@pip//p%d" % n, "merged_%d" % (n % 2)) for n in range({packages} // 6, {packages} // 2)] +
        [("@pip//growth-%d" % (10000 + n), "growth_%d" % n) for n in {growth}],
    ),
)

[binary(name = "binary_%d" % n, deps = NAMES) for n in range({most})]

[py_image_layer(name = "image_%d" % n, binary = "binary_%d" % n, layer_tier = "tier") for n in range({most})]

[filegroup(name = "%s_%d" % (what, images), srcs = ["%s_%d" % (one, n) for n in range(images)]) for one, what in [("image", "images"), ("binary", "binaries")] for images in {images}]

binary(name = "growth", deps = ["growth_%d" % (10000 + files) for files in {growth}])

py_image_layer(name = "growth_image", binary = "growth", layer_tier = "tier")
"""


class Workspace:
    """The workspace, and Bazel in it."""

    def __init__(self, scratch: pathlib.Path, worker: pathlib.Path) -> None:
        self.folder = scratch / "cost"
        self.output_root = scratch / "bazel"
        self.modules = [f"--override_module=pylayer={REPOSITORY}", f"--repo_env=PYLAYER_BINARY={worker}"]
        self.folder.mkdir()
        (self.folder / "MODULE.bazel").write_text(MODULE)
        (self.folder / "BUILD.bazel").write_text("")
        (self.folder / "rules.bzl").write_text(RULES)
        for kind in KINDS:
            (self.folder / kind).mkdir()
            values = {"kind": kind, "packages": PACKAGES, "files": FILES, "most": max(IMAGES), "images": list(IMAGES), "growth": list(GROWTH)}
            (self.folder / kind / "BUILD.bazel").write_text(BUILD.format(**values))

    def bazel(self, command: str, *arguments: str) -> str:
        """`bazel COMMAND ARGUMENTS`; what it prints."""
        modules = self.modules if command in MODULE_COMMANDS else []
        line = [*BAZEL, f"--output_user_root={self.output_root}", command, *modules, *arguments]
        result = subprocess.run(line, cwd=self.folder, capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit("\n".join([" ".join(line), result.stdout, result.stderr]))
        return result.stdout

    def analysis(self, target: str, runs: int) -> tuple[float, int]:
        """Seconds, and MiB of heap, of the analysis of a target by a new server: the least of several."""
        seconds, heap = [], []
        for _ in range(runs):
            self.bazel("shutdown")
            self.bazel("info", "release")
            start = time.monotonic()
            self.bazel("build", "--nobuild", target)
            seconds.append(time.monotonic() - start)
            heap.append(int(self.bazel("info", "used-heap-size-after-gc").strip().removesuffix("MB")))
        return min(seconds), min(heap)

    def aquery(self, target: str, flag: str) -> list[dict]:
        """The worker's actions, and those that list what a layer's sources are."""
        query = f'mnemonic("PyImage.*", deps({target})) + outputs(".*[.]sources", deps({target}))'
        return json.loads(self.bazel("aquery", "--output=jsonproto", "--include_aspects", flag, query))["actions"]

    def actions(self, target: str) -> collections.Counter[str]:
        """How many actions there are of each mnemonic."""
        return collections.Counter(action["mnemonic"] for action in self.aquery(target, "--noinclude_commandline"))

    def params(self, kind: str) -> list[int]:
        """The bytes of the params file of a package's layer, for each number of files."""
        sizes = {}
        for action in self.aquery(f"//{kind}:growth_image", "--include_commandline"):
            # The worker, and what the params file will hold.
            lines = action.get("arguments", [])[1:]
            layer = re.search(r"--output=\S*/growth_(\d+)_pip_layer", "\n".join(lines))
            if layer:
                sizes[int(layer[1]) - 10000] = sum(len(line.encode()) + 1 for line in lines)
        if kind == "tree" and len(set(sizes.values())) != 1:
            sys.exit(f"the arguments of a tree's layer grow with its files: {sizes}")
        return [sizes[files] for files in GROWTH]


def table(header: list[str], rows: list[list[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def measure(workspace: Workspace, runs: int) -> str:
    """The page."""
    names = {"tree": "one tree each", "file": "separate files"}
    costs, counts, params = [], [], []
    for kind in KINDS:
        for images in IMAGES:
            before, heap_before = workspace.analysis(f"//{kind}:binaries_{images}", runs)
            after, heap_after = workspace.analysis(f"//{kind}:images_{images}", runs)
            costs.append([names[kind], images, f"{before:.1f} s", f"{after:.1f} s", f"{heap_before} MiB", f"{heap_after} MiB"])
            print(*costs[-1], file=sys.stderr)
            # The same for both kinds, and slow to ask for where files are many.
            if kind == "tree":
                found = workspace.actions(f"//{kind}:images_{images}")
                counts.append([images, *[found[mnemonic] for mnemonic in MNEMONICS]])
        params.append([names[kind], *[f"{size:,}" for size in workspace.params(kind)]])
    version = workspace.bazel("info", "release").strip()
    return PAGE.format(
        actions=table(["images", *[f"`{name}`" for name in MNEMONICS]], counts),
        costs=table(["packages", "images", "binaries alone", "with images", "heap, binaries alone", "heap, with images"], costs),
        files=FILES,
        packages=PACKAGES,
        params=table(["packages", *[f"files: {files:,}" for files in GROWTH]], params),
        version=version,
        cores=os.cpu_count(),
    )


PAGE = """\
# What images cost at analysis

Made by `python3 py/tests/analysis_cost.py`, which prints this page; Bazel: {version}, {cores} cores. These are single runs; other work on the machine changes them by seconds.

The workspace has {packages} packages of {files} files, either as one tree each or as separate files. Every image has its own binary with all packages: ten with layers of their own, twenty in two groups, and thirty in none.

## Time and memory

`bazel build --nobuild` of the binaries alone, and of the images, each with a new server, without the time to start it. Heap is measured after a garbage collection.

{costs}
## Actions

A package's layer is one action, however many images have it. Each image adds its merged layers, the squashed and the default layer, and the check. The list of each layer's sources is a `FileWrite`, which Bazel does itself.

{actions}
## Arguments

Bytes of the params file of one package's layer. A tree is one line, whatever it contains; the script checks that. Separate files are two lines each, which Bazel writes when the action runs, not at analysis.

{params}"""


def main() -> None:
    """Reads the command line, measures, and cleans up."""
    parser = argparse.ArgumentParser(description="What images cost at analysis.")
    parser.add_argument("--output", type=pathlib.Path, help="where the page goes, rather than to standard output")
    parser.add_argument("--runs", type=int, default=1, help="how often each analysis is measured; the least counts")
    options = parser.parse_args()
    worker = pathlib.Path(os.environ.get("PYLAYER_BINARY") or REPOSITORY / "target/release/pylayer").resolve()
    if not worker.exists():
        sys.exit(f"no worker at {worker}: build it (cargo build --release), or set PYLAYER_BINARY")
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="pylayer-cost-"))
    workspace = Workspace(scratch, worker)
    try:
        page = measure(workspace, options.runs)
    finally:
        workspace.bazel("shutdown")
        for folder, _, _ in os.walk(scratch):
            os.chmod(folder, 0o755)
        shutil.rmtree(scratch)
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    else:
        print(page, end="")


if __name__ == "__main__":
    main()
