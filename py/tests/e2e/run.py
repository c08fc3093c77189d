#!/usr/bin/env python3
"""Builds images with the real Bazel and worker, and looks at what is in them.

    python3 py/tests/e2e/run.py

Needs `bazel`; the worker is PYLAYER_BINARY, or target/release/pylayer of this
repository. E2E_OUTPUT_ROOT keeps Bazel's output for the next run.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

from bazel import REPOSITORY, Workspace  # noqa: E402
from image import Image, runfiles  # noqa: E402

WORKSPACE = "e2e"
IMAGES = ["app", "server", "linked", "elsewhere", "without_tier", "other_platform_image", "both", "reversed"]
LAYER_MNEMONICS = {"PyImagePkgLayer", "PyImageMergedLayer", "PyImageLayer"}
REQUIREMENTS = {
    "requires-worker-protocol": "proto",
    "supports-multiplex-sandboxing": "1",
    "supports-multiplex-workers": "1",
    "supports-worker-cancellation": "1",
    "supports-workers": "1",
    "worker-key-mnemonic": "PyLayer",
}


class Built(unittest.TestCase):
    """One workspace for all tests, in which all images are built."""

    worker: pathlib.Path
    scratch: pathlib.Path
    workspace: Workspace
    images: dict[str, Image]
    runfiles: dict[str, dict[str, bytes]]


def setUpModule() -> None:
    """Builds all images."""
    Built.worker = pathlib.Path(os.environ.get("PYLAYER_BINARY") or REPOSITORY / "target/release/pylayer")
    if not Built.worker.exists():
        sys.exit(f"no worker at {Built.worker}: build it (cargo build --release), or set PYLAYER_BINARY")
    Built.scratch = pathlib.Path(tempfile.mkdtemp(prefix="pylayer-e2e-"))
    output_root = pathlib.Path(os.environ.get("E2E_OUTPUT_ROOT") or Built.scratch / "bazel")
    Built.workspace = Workspace(Built.scratch / WORKSPACE, Built.worker, output_root)
    unittest.addModuleCleanup(clean_up)
    # Bazel's own runfiles trees cannot have names with spaces before version 7.4.
    binaries = ["//app:all", "@other//:all", "--nobuild_runfile_links"]
    Built.workspace.run("build", *[f"//:{name}" for name in IMAGES], *binaries)
    Built.images = {name: Image(Built.workspace.files(f"//:{name}")) for name in IMAGES}
    bin_folder = Built.workspace.folder / "bazel-bin"
    Built.runfiles = {
        binary: runfiles(bin_folder / f"{binary}.runfiles_manifest", "app.runfiles")
        for binary in ("app/app", "app/server", "app/linked", "external/other/elsewhere")
    }


def clean_up() -> None:
    """Leaves nothing behind."""
    Built.workspace.run("shutdown", check=False)
    for folder, _, _ in os.walk(Built.scratch):
        os.chmod(folder, 0o755)
    shutil.rmtree(Built.scratch)


class Contents(Built):
    """What the images hold."""

    def expected(self, *binaries: str) -> dict[str, bytes]:
        """The union of the binaries' runfiles, as Bazel lists them."""
        places: dict[str, bytes] = {}
        for binary in binaries:
            places.update(self.runfiles[binary])
        return places

    def check(self, name: str, expected: dict[str, bytes]) -> None:
        """An image holds exactly this, each place once, and every link leads there."""
        image = self.images[name]
        self.assertEqual(image.places(), sorted(expected), name)
        root = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
        image.extract(root)
        for place, contents in expected.items():
            path = root / place
            target = path.resolve(strict=True)
            self.assertTrue(target.is_relative_to(root.resolve()), f"{place} leads to {target}")
            if target.is_file():
                self.assertEqual(target.read_bytes(), contents, place)

    def test_layers_are_disjoint(self) -> None:
        for name, image in self.images.items():
            places = image.places()
            twice = sorted({place for place in places if places.count(place) > 1})
            self.assertEqual(twice, [], name)

    def test_no_forbidden_paths(self) -> None:
        for name, image in self.images.items():
            for place in image.places():
                for forbidden in ("__pycache__", ".pyc", "/_wheels/", ".whl", "_binaries"):
                    self.assertNotIn(forbidden, place, name)
                if ".install/" in place:
                    self.assertNotIn(pathlib.Path(place).name, {"RECORD", "INSTALLER", "WHEEL", "REQUESTED"})

    def test_a_binary(self) -> None:
        for name, binary in [
            ("app", "app/app"),
            ("server", "app/server"),
            ("without_tier", "app/app"),
            ("other_platform_image", "app/app"),
        ]:
            expected = self.expected(binary)
            expected["app"] = expected.pop(f"app.runfiles/{WORKSPACE}/{binary}")
            self.check(name, expected)

    def test_links_and_root_links(self) -> None:
        expected = self.expected("app/linked")
        expected["app"] = expected.pop(f"app.runfiles/{WORKSPACE}/app/linked")
        # A tree that another layer has is reached by one link.
        for place, tree in [("top/wheel", "../e2e/wheels"), (f"{WORKSPACE}/links/tree", "../wheels")]:
            below = [path for path in expected if path.startswith(f"app.runfiles/{place}/")]
            self.assertTrue(below)
            for path in below:
                del expected[path]
            expected[f"app.runfiles/{place}"] = b""
            links = {member.name: member.linkname for member in self.images["linked"].layer("linked_default").members()}
            self.assertEqual(links[f"app.runfiles/{place}"], f"{tree}/alpha.install")
        links = {member.name: member.linkname for member in self.images["linked"].layer("linked_default").members()}
        self.assertEqual(links[f"app.runfiles/{WORKSPACE}/links/branding.txt"], "../lib/branding.txt")
        self.assertEqual(links[f"app.runfiles/{WORKSPACE}/app/linked.link"], "../lib/branding.txt")
        self.check("linked", expected)

    def test_a_binary_of_another_repository(self) -> None:
        expected = self.expected("external/other/elsewhere")
        expected["app"] = expected.pop("app.runfiles/other/elsewhere")
        self.check("elsewhere", expected)

    def test_several_binaries(self) -> None:
        expected = self.expected("app/app", "app/server")
        for name in ("app", "server"):
            expected[f"app/bin/{name}"] = expected[f"app.runfiles/{WORKSPACE}/app/{name}"]
            expected[f"app/bin/{name}.runfiles"] = b""
        self.check("both", expected)
        self.assertEqual(
            [layer.digest for layer in self.images["both"].layers],
            [layer.digest for layer in self.images["reversed"].layers],
        )

    def test_they_run(self) -> None:
        environment = {"E2E_WORKSPACE": WORKSPACE, "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
        line = "server pylayer blue tagged alpha split"
        app = f"pylayer blue tagged 3\nalpha beta gamma nested odd split unpacked\ne acute\n{line}\n"
        for name, launcher, output in [
            ("app", "app", app),
            ("without_tier", "app", app),
            ("both", "app/bin/app", app),
            ("both", "app/bin/server", line + "\n"),
            ("elsewhere", "app", "elsewhere tagged\n"),
            ("linked", "app", "pylayer\n"),
        ]:
            root = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
            self.images[name].extract(root)
            result = self.execute(root / launcher, environment)
            self.assertEqual(result, output, name)

    def execute(self, launcher: pathlib.Path, environment: dict[str, str]) -> str:
        """Runs a launcher where its image was extracted."""
        result = subprocess.run([launcher], env=environment, capture_output=True, text=True, check=False, cwd="/")
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_owner_and_metadata(self) -> None:
        for layer in self.images["app"].layers:
            self.assertEqual({(member.uid, member.gid) for member in layer.members()}, {(1000, 2000)}, layer.name)
        metadata = self.workspace.files("//:app", "--output_groups=metadata")
        self.assertEqual([path.name for path in metadata], [name + ".json" for name in self.images["app"].names()])
        for path, layer in zip(metadata, self.images["app"].layers):
            said = json.loads(path.read_text())
            self.assertEqual((said["digest"], said["size"]), ("sha256:" + layer.digest, len(layer.blob)))

    def test_order(self) -> None:
        self.assertEqual(
            self.images["app"].names(),
            [
                "interpreter_layer_python.tar.gz",
                "alpha_pip_layer.tar.gz",
                "split_pip_layer_split_code.tar.gz",
                "split_pip_layer_split_lib.tar.gz",
                "split_pip_layer.tar.gz",
                "pkg_pip_layer_tagged_native.tar.gz",
                "pkg_pip_layer.tar.gz",
                "app_merged_pip_layer_merged.tar.gz",
                "app_squashed.tar.gz",
                "app_branding.tar.gz",
                "app_texts.tar",
                "app_default.tar.gz",
            ],
        )

    def test_what_is_in_which_layer(self) -> None:
        app = self.images["app"]

        def files(layer: str) -> list[str]:
            return sorted(place.split("/site-packages/")[-1].removeprefix("app.runfiles/") for place in app.layer(layer).places())

        self.assertEqual(files("interpreter_layer"), [f"python_runtime/{name}" for name in ("bin/python3", "bin/python3.11", "lib/os.py")])
        # util.py matches both groups' patterns: it is in the first one, by name.
        self.assertEqual(files("split_pip_layer_split_code"), ["split/__init__.py", "split/lib/util.py"])
        self.assertEqual(files("split_pip_layer_split_lib"), ["split/lib/libsplit.so", "split/lib/libsplit.so.1"])
        self.assertEqual(files("split_pip_layer.tar"), ["split-1.0.dist-info/METADATA", "split/notes.md"])
        self.assertEqual(files("pkg_pip_layer_tagged_native"), ["tagged/native.so"])
        self.assertIn("tagged/__init__.py", files("pkg_pip_layer.tar"))
        self.assertEqual(files("app_branding"), [f"{WORKSPACE}/lib/branding.py", f"{WORKSPACE}/lib/branding.txt"])
        self.assertEqual(files("app_texts"), [f"{WORKSPACE}/lib/{name}" for name in ("pages.py", "texts/one.txt", "texts/two.txt")])
        squashed = {name.split("/")[0] for name in files("app_squashed") if "dist-info" not in name}
        self.assertEqual(squashed, {"in_data", "in_tool", "nested", "odd", "unpacked"})
        linked = {name.split("/wheels/")[-1].split(".")[0] for name in self.images["linked"].layer("linked_squashed").places()}
        self.assertEqual(linked, {"in_tool", "virtual"})


class Builds(Built):
    """What is built when, and what is shared."""

    def test_two_images_share_the_layers_of_packages(self) -> None:
        def outputs(name: str) -> set[str]:
            actions = self.workspace.actions(f'mnemonic("PyImagePkgLayer", deps(//:{name}))')
            return {output for action in actions for output in action.outputs}

        app, server = outputs("app"), outputs("server")
        self.assertEqual(app, server)
        self.assertEqual(len(app), 2 * 7)

    def test_two_images_of_one_binary_share_its_merged_layers(self) -> None:
        def outputs(name: str) -> set[str]:
            actions = self.workspace.actions(f'mnemonic("PyImageMergedLayer", deps(//:{name}))')
            return {output for action in actions for output in action.outputs}

        self.assertEqual(outputs("app"), outputs("app_again"))
        self.assertIn("app_merged_pip_layer_merged.tar.gz", {pathlib.Path(path).name for path in outputs("app")})

    def test_actions(self) -> None:
        actions = self.workspace.actions('mnemonic("PyImage.*", deps(//:app))')
        self.assertEqual({action.mnemonic for action in actions}, LAYER_MNEMONICS | {"PyImageLayerValidate"})
        for action in actions:
            own = {"app_squashed.tar.gz": {"requires-fakeroot": "1"}, "app_texts.tar": {"no-remote-cache": "''"}}
            wanted = REQUIREMENTS | own.get(pathlib.Path(action.outputs[0]).name, {})
            self.assertEqual(action.requirements, wanted, action.outputs)
            trees = [path for path in action.inputs if path.endswith(".install")]
            if action.outputs[0].endswith("_default.tar.gz"):
                self.assertEqual(trees, [])
                self.assertEqual([path for path in action.inputs if "site-packages" in path], [])
            elif action.mnemonic == "PyImagePkgLayer":
                self.assertLessEqual(len(trees), 1)

    def test_one_wheel_changes(self) -> None:
        images = ["//:app", "//:server", "//:without_tier"]
        self.assertEqual(self.after_change("wheels/alpha.json", images), [
            ("PyImageLayer", "without_tier_squashed.tar.gz"),
            ("PyImagePkgLayer", "alpha_pip_layer.tar.gz"),
            ("WheelInstall", "alpha.install"),
            ("WheelInstall", "alpha.install"),
        ])
        self.assertEqual(self.after_change("wheels/beta.json", images), [
            ("PyImageLayer", "without_tier_squashed.tar.gz"),
            ("PyImageMergedLayer", "app_merged_pip_layer_merged.tar.gz"),
            ("PyImageMergedLayer", "server_merged_pip_layer_merged.tar.gz"),
            ("WheelInstall", "beta.install"),
            ("WheelInstall", "beta.install"),
        ])
        self.assertEqual(self.after_change("app/server.py", ["//:app", "//:server"]), [
            ("PyImageLayer", "app_default.tar.gz"),
            ("PyImageLayer", "server_default.tar.gz"),
        ])

    def after_change(self, path: str, images: list[str]) -> list[tuple[str, str]]:
        """The actions that run after a change of a file."""
        self.workspace.build(*images)
        file = self.workspace.folder / path
        before = file.read_text(encoding="utf-8")
        marked = before.replace('"files": {', '"files": {\n    "changed.py": "",') if path.endswith(".json") else before + "# changed\n"
        self.assertNotEqual(marked, before)
        file.write_text(marked, encoding="utf-8")
        try:
            return [action for action in self.workspace.executed(*images) if action[0] in LAYER_MNEMONICS | {"WheelInstall"}]
        finally:
            file.write_text(before, encoding="utf-8")

    def test_another_tier_and_another_platform_keep_the_bytes(self) -> None:
        other = Image(self.workspace.files("//:other_tier_image"))
        digests = {
            image.layer("alpha_pip_layer").digest
            for image in (self.images["app"], self.images["other_platform_image"], other)
        }
        self.assertEqual(len(digests), 1)
        self.assertEqual(other.layer("odd_pip_layer").blob[:4], b"\x28\xb5\x2f\xfd")

    def test_a_flag_switches_the_tier(self) -> None:
        by_flag = Image(self.workspace.files("//:without_tier", "--@pylayer//py:layer_tier=//:tier"))
        self.assertEqual(len(by_flag.layers), len(self.images["app"].layers) - 1)
        self.assertEqual(by_flag.layer("alpha_pip_layer").digest, self.images["app"].layer("alpha_pip_layer").digest)

    def test_without_a_worker_the_bytes_are_the_same(self) -> None:
        wanted = [layer.digest for layer in self.images["app"].layers]
        for flags in (
            [f"--strategy={mnemonic}=sandboxed" for mnemonic in LAYER_MNEMONICS],
            [f"--strategy={mnemonic}=local" for mnemonic in LAYER_MNEMONICS],
            ["--worker_sandboxing"],
        ):
            base = self.scratch / "again"
            again = Workspace(base / WORKSPACE, self.worker, base / "bazel")
            try:
                layers = Image(again.files("//:app", *flags)).layers
            finally:
                again.run("clean", "--expunge", check=False)
                shutil.rmtree(base / WORKSPACE)
            self.assertEqual([layer.digest for layer in layers], wanted, flags)

    def test_a_wheel_is_one_line_of_arguments(self) -> None:
        def lines(name: str) -> set[int]:
            paths = self.workspace.folder.glob(f"bazel-out/*/bin/wheels/{name}_pip_layer.tar.gz-0.params")
            return {len(path.read_text().splitlines()) for path in paths}

        self.assertEqual(len(lines("large")), 1)
        self.assertEqual(lines("large"), lines("alpha"))

    def test_what_cannot_be_built_says_why(self) -> None:
        for name, words in [
            ("forgetful", ["//:forgetful", "1 of the binary's runfiles would be missing", "lib/pages.py (of //lib:pages.py)"]),
            ("colliding", ["two files for /app/branding.txt", "lib/branding.txt", "launcher_dir"]),
        ]:
            result = self.workspace.run("build", f"//:{name}", check=False)
            self.assertNotEqual(result.returncode, 0, name)
            for word in words:
                self.assertIn(word, result.stderr)

    def test_a_warning_is_in_the_log(self) -> None:
        warning = "WARNING: image has 2 layers (warn threshold: 1, hard limit: 127).\n"
        result = self.workspace.run("build", "//:warned")
        self.assertIn(warning, result.stderr)
        log = self.workspace.folder / "bazel-bin/warned_validation.log"
        self.assertEqual(log.read_text(), warning)

    def test_too_large_an_image_fails_with_advice(self) -> None:
        result = self.workspace.run("build", "//:too_large", check=False)
        self.assertNotEqual(result.returncode, 0)
        for line in [
            "ERROR: squashed pip layer is 3.0MB (threshold 2.0MB).",
            "WARNING: in-data is 3.0MB (threshold 2.0MB): unusually large for a package.",
            'py_layer_tier(\n    name = "layers",\n    groups = {\n        "@pip//in-data": "in-data",\n    },\n',
            '    compression = {\n        "in-data": ["zstd", "3"],\n    },\n)\n',
        ]:
            self.assertIn(line, result.stderr)

    def test_the_checker_sees_the_packages_in_no_group_alone(self) -> None:
        for name in ("app", "without_tier"):
            (action,) = self.workspace.actions(f'mnemonic("PyImageLayerValidate", //:{name})')
            (squashed,) = self.workspace.actions(f'outputs(".*/{name}_squashed.tar.gz", mnemonic("PyImageLayer", //:{name}))')
            wheels = [sorted(path for path in some.inputs if "/wheels/" in path or "site-packages" in path) for some in (action, squashed)]
            self.assertTrue(wheels[0])
            self.assertEqual(wheels[0], wheels[1])

    def test_a_wrong_digest_is_refused(self) -> None:
        base = self.scratch / "wrong"
        wrong = Workspace(base / WORKSPACE, self.worker, base / "bazel")
        wrong.lock(self.worker, "0" * 64)
        result = wrong.run("build", "//:server", check=False)
        wrong.run("shutdown", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("Checksum was", result.stderr)


if __name__ == "__main__":
    unittest.main()
