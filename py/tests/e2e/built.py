"""The workspace and its images, built once for all tests."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import unittest
from collections.abc import Iterator

from bazel import REPOSITORY, Workspace, repository
from image import Image, runfiles

# What Bazel calls the main repository, one with a binary of somebody else, and others.
WORKSPACE = "_main"
OTHER = repository("_repo_rules", "other")
PYTHON = repository("_repo_rules", "python_runtime")
MARKUPSAFE = repository("pypi", "pypi_311_markupsafe")
IMAGES = [
    "app",
    "server",
    "linked",
    "elsewhere",
    "without_tier",
    "other_platform_image",
    "both",
    "reversed",
    "real:image",
    "real:image_without_wheels",
    "real:venv_image",
    "real:both_in_venv",
    "real:test_image",
    "real:bootstrapped_image",
]
BINARIES = [
    "app/app",
    "app/server",
    "app/linked",
    f"external/{OTHER}/elsewhere",
    "real/app",
    "real/app_in_venv",
    "real/other_in_venv",
    "real/test",
    "real/bootstrapped",
]
LAYER_MNEMONICS = {"PyImagePkgLayer", "PyImageMergedLayer", "PyImageLayer"}
MNEMONICS = LAYER_MNEMONICS | {"PyImageSegment"}


class Built(unittest.TestCase):
    """What all tests look at."""

    worker: pathlib.Path
    scratch: pathlib.Path
    workspace: Workspace
    images: dict[str, Image]
    runfiles: dict[str, dict[str, bytes | None]]


def label(image: str) -> str:
    """An image's label."""
    return f"//{image}" if ":" in image else f"//:{image}"


@contextlib.contextmanager
def all_images() -> Iterator[None]:
    """Builds all images, and leaves nothing behind."""
    Built.worker = pathlib.Path(os.environ.get("PYLAYER_BINARY") or REPOSITORY / "target/release/pylayer")
    if not Built.worker.exists():
        sys.exit(f"no worker at {Built.worker}: build it (cargo build --release), or set PYLAYER_BINARY")
    Built.scratch = pathlib.Path(tempfile.mkdtemp(prefix="pylayer-e2e-"))
    output_root = pathlib.Path(os.environ.get("E2E_OUTPUT_ROOT") or Built.scratch / "bazel")
    Built.workspace = Workspace(Built.scratch / WORKSPACE, Built.worker, output_root)
    try:
        build()
        yield
    finally:
        Built.workspace.run("shutdown", check=False)
        for folder, _, _ in os.walk(Built.scratch):
            os.chmod(folder, 0o755)
        shutil.rmtree(Built.scratch)


def build() -> None:
    """Builds all images."""
    # Bazel's own runfiles trees cannot have names with spaces before version 7.4.
    binaries = ["//app:all", "@other//:all", *[f"//real:{name}" for name in ("app", "app_in_venv", "other_in_venv", "test", "bootstrapped")], "--nobuild_runfile_links"]
    Built.workspace.run("build", *[label(name) for name in IMAGES], *binaries)
    Built.images = {name: Image(Built.workspace.files(label(name))) for name in IMAGES}
    # Not the link `bazel-bin`, which follows the last image's configuration.
    folder = pathlib.Path(Built.workspace.run("info", "bazel-bin").stdout.strip())
    Built.runfiles = {binary: runfiles(folder / f"{binary}.runfiles_manifest", "app.runfiles") for binary in BINARIES}
