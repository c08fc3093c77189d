"""What is built when, and what is shared."""

import pathlib
import re
import shutil
import subprocess

from bazel import BAZEL, REPOSITORY, Workspace
from built import LAYER_MNEMONICS, MNEMONICS, WORKSPACE, Built, label
from image import Image

REQUIREMENTS = {
    "requires-worker-protocol": "proto",
    "supports-multiplex-sandboxing": "1",
    "supports-multiplex-workers": "1",
    "supports-worker-cancellation": "1",
    "supports-workers": "1",
    "worker-key-mnemonic": "PyLayer",
}


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
        self.assertEqual({action.mnemonic for action in actions}, MNEMONICS | {"PyImageLayerValidate"})
        for action in actions:
            own = {"app_squashed.tar.gz": {"requires-fakeroot": "1"}, "app_texts.tar": {"no-remote-cache": "''"}}
            wanted = REQUIREMENTS | own.get(pathlib.Path(action.outputs[0]).name, {})
            self.assertEqual(action.requirements, wanted, action.outputs)
            trees = [path for path in action.inputs if path.endswith(".install")]
            if action.outputs[0].endswith("_default.tar.gz"):
                self.assertEqual(trees, [])
                self.assertEqual([path for path in action.inputs if "site-packages" in path], [])
            elif action.mnemonic in {"PyImagePkgLayer", "PyImageSegment"}:
                self.assertLessEqual(len(trees), 1)
            else:
                # The packages of a layer of several come compressed.
                self.assertEqual(trees, [], action.outputs)

    def test_startup_flags_are_the_same_for_every_action(self) -> None:
        blocks = self.workspace.run("aquery", "--output=text", "--include_aspects", 'mnemonic("PyImage.*", deps(//:app))').stdout.split("\n\n")
        commands = [block.split("Command Line: ")[1] for block in blocks if "Command Line: " in block]
        self.assertGreater(len(commands), len(LAYER_MNEMONICS))
        for command in commands:
            self.assertIn("bin/pylayer \\\n    '--cache-size=2GiB' \\\n    ", command)

    def test_a_binary_that_is_not_there_is_told_first(self) -> None:
        # The workspace of the images is built without PYLAYER_BINARY.
        line = [*BAZEL, f"--output_user_root={self.workspace.output_root}", "build", "--nobuild", "--repo_env=PYLAYER_BINARY=/nope", "//py:interpreter"]
        result = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        subprocess.run([*line[:-4], "shutdown"], cwd=REPOSITORY, capture_output=True, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("PYLAYER_BINARY=/nope does not exist. Set it to the absolute path", result.stderr)
        self.assertNotIn("cargo builds", result.stderr)
        self.assertNotIn("pylayer_host_cargo//", result.stderr)

    def test_one_wheel_changes(self) -> None:
        images = ["//:app", "//:server", "//:without_tier"]
        self.assertEqual(self.after_change("wheels/alpha.json", images), [
            ("PyImageLayer", "without_tier_squashed.tar.gz"),
            ("PyImagePkgLayer", "alpha_pip_layer.tar.gz"),
            ("PyImageSegment", "alpha_pip.segment"),
            ("WheelInstall", "alpha.install"),
            ("WheelInstall", "alpha.install"),
        ])
        self.assertEqual(self.after_change("wheels/beta.json", images), [
            ("PyImageLayer", "without_tier_squashed.tar.gz"),
            ("PyImageMergedLayer", "app_merged_pip_layer_merged.tar.gz"),
            ("PyImageMergedLayer", "server_merged_pip_layer_merged.tar.gz"),
            ("PyImageSegment", "beta_pip.segment"),
            ("PyImageSegment", "beta_pip.segment"),
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
            return [action for action in self.workspace.executed(*images) if action[0] in MNEMONICS | {"WheelInstall"}]
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

    def test_what_another_configuration_asks_for_is_in_the_cache(self) -> None:
        before = self.workspace.cache()
        # Another mode is another configuration, whatever the platform changes.
        flags = ["--platforms=//:other_platform", "--compilation_mode=opt"]
        ran = self.workspace.executed("//:app", "//real:image", *flags)
        after = self.workspace.cache()
        layers = [name for mnemonic, name in ran if mnemonic in LAYER_MNEMONICS]
        built = {name: self.images[name].layers for name in ("app", "real:image")}
        self.assertEqual(sorted(layers), sorted(layer.name for image in built.values() for layer in image))
        for name, image in built.items():
            again = Image(self.workspace.files(label(name), *flags)).layers
            self.assertEqual([layer.digest for layer in again], [layer.digest for layer in image], name)
        # Of every package that was there before nothing was compressed.
        self.assertEqual(after["misses"], before["misses"])
        self.assertGreaterEqual(after["hits"] - before["hits"], len(layers))

    def test_a_flag_switches_the_tier(self) -> None:
        by_flag = Image(self.workspace.files("//:without_tier", "--@pylayer//py:layer_tier=//:tier"))
        self.assertEqual(len(by_flag.layers), len(self.images["app"].layers) - 1)
        self.assertEqual(by_flag.layer("alpha_pip_layer").digest, self.images["app"].layer("alpha_pip_layer").digest)

    def test_without_a_worker_the_bytes_are_the_same(self) -> None:
        wanted = [layer.digest for layer in self.images["app"].layers]
        for flags in (
            [f"--strategy={mnemonic}=sandboxed" for mnemonic in MNEMONICS],
            [f"--strategy={mnemonic}=local" for mnemonic in MNEMONICS],
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
            ("forgetful", ["//:forgetful", "1 of the binary's runfiles would be missing", "lib/pages.py (of @@//lib:pages.py)"]),
            ("clashing", ["two files for /app.runfiles/_main/lib/branding.txt", "own.txt", "by a symlink in the binary's runfiles"]),
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
        (log,) = self.workspace.folder.glob("bazel-out/*/bin/warned_validation.log")
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

    def test_advice_pastes(self) -> None:
        said = self.workspace.run("build", "//:too_large", check=False).stderr
        advice = re.search(r"^py_layer_tier\($.*?^\)$", said, re.MULTILINE | re.DOTALL)[0]
        folder = self.workspace.folder / "advised"
        folder.mkdir()
        (folder / "BUILD.bazel").write_text(
            'load("@pylayer//py:defs.bzl", "py_image_layer", "py_layer_tier")\n\n'
            + advice
            + '\n\npy_image_layer(name = "image", binary = "//app", layer_tier = ":layers", warn_remote_cache_threshold_mb = 2)\n'
        )
        self.assertIn("in_data_pip_layer.tar.zst", Image(self.workspace.files("//advised:image")).names())

    def test_the_checker_sees_segments_and_what_no_source_changes(self) -> None:
        for name in ("app", "without_tier"):
            (action,) = self.workspace.actions(f'mnemonic("PyImageLayerValidate", //:{name})')
            listed = [path for path in action.inputs if path.endswith(".sources")]
            self.assertEqual(len(listed), len(self.images[name].layers))
            (squashed,) = self.workspace.actions(f'outputs(".*/{name}_squashed.tar.gz", mnemonic("PyImageLayer", //:{name}))')
            merged = self.workspace.actions(f'mnemonic("PyImageMergedLayer", deps(//:{name}))')
            segments = {path for some in [squashed, *merged] for path in some.inputs if path.endswith(".segment")}
            self.assertTrue(segments)
            self.assertEqual({path for path in action.inputs if path.endswith(".segment")}, segments)
            metadata = [path for path in action.inputs if path.endswith(".json")]
            self.assertTrue(any(path.endswith(f"{name}_squashed.tar.gz.json") for path in metadata))
            self.assertFalse(any("_default.tar" in path for path in metadata), metadata)

    def test_a_wrong_digest_is_refused(self) -> None:
        base = self.scratch / "wrong"
        wrong = Workspace(base / WORKSPACE, self.worker, base / "bazel")
        wrong.lock(self.worker, "0" * 64)
        result = wrong.run("build", "//:server", check=False)
        wrong.run("shutdown", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("Checksum was", result.stderr)
