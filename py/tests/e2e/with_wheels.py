"""Layers made with wheels, and without."""

import json
import pathlib

from built import Built

# The layers of packages, as the real wheels have them: file -> the wheels that it takes.
TAKES = {
    "click_pip_layer_click_core.tar.gz": ["click"],
    "click_pip_layer.tar.gz": ["click"],
    "built_pip_layer.tar.gz": ["built"],
    "actual_install_pip_layer.tar.gz": ["jinja2"],
    "app_merged_pip_layer_pair.tar.gz": ["idna", "markupsafe"],
    "image_squashed.tar.gz": ["werkzeug"],
    # Not gzip, and no packages.
    "actual_install_pip_layer.tar.zst": [],
    "interpreter_layer_python.tar.gz": [],
    "image_default.tar.gz": [],
}


def package(wheel: str) -> str:
    """What a wheel's file name says."""
    return pathlib.Path(wheel).name.split("-")[0]


class Wheels(Built):
    """They save work, and change no contents."""

    def metadata(self, image: str) -> dict[str, dict]:
        """What the metadata says, by the layer's name without the image's."""
        files = self.workspace.files(f"//real:{image}", "--output_groups=metadata")
        return {path.name.replace(image, "image"): json.loads(path.read_text()) for path in files}

    def test_contents_are_the_same_and_bytes_are_not(self) -> None:
        made_with, without = self.metadata("image"), self.metadata("image_without_wheels")
        self.assertEqual(list(made_with), list(without))
        self.assertEqual({name.removesuffix(".json") for name in made_with}, set(TAKES))
        for name, takes in TAKES.items():
            one, other = made_with[name + ".json"], without[name + ".json"]
            self.assertEqual(one["diff_id"], other["diff_id"], name)
            differs = (one["digest"] != other["digest"], one["size"] != other["size"])
            self.assertEqual(differs, (bool(takes), bool(takes)), name)

    def test_streams_are_the_wheels_own(self) -> None:
        # Nobody else compresses zeros so badly.
        layer = self.images["real:image"].layer("built_pip_layer")
        without = self.images["real:image_without_wheels"].layer("built_pip_layer")
        self.assertEqual(layer.archive(), without.archive())
        self.assertGreater(len(layer.blob), len(without.blob) + 200)

    def test_a_wheel_is_an_input_where_it_is_of_use(self) -> None:
        actions = self.workspace.actions('mnemonic("PyImage.*", deps(//real:image))')
        inputs = {pathlib.Path(action.outputs[0]).name: action.inputs for action in actions}
        of_segment = {action.outputs[0]: action.inputs for action in actions if action.mnemonic == "PyImageSegment"}
        for name, takes in TAKES.items():
            segments = [path for path in inputs[name] if path.endswith(".segment")]
            given = [path for one in segments for path in of_segment[one]] or inputs[name]
            wheels = [package(path) for path in given if path.endswith(".whl")]
            # The directory of the wheel that Bazel builds is the input.
            built = ["built" for path in given if path.endswith("/built_wheel")]
            self.assertEqual(sorted(wheels + built), takes, name)
            if segments:
                self.assertEqual([path for path in inputs[name] if path.endswith((".whl", "/built_wheel"))], [], name)
        self.assertEqual([path for path in inputs["image_validation.log"] if path.endswith((".whl", "/built_wheel"))], [])
        without = self.workspace.actions('mnemonic("PyImage.*", deps(//real:image_without_wheels))')
        self.assertEqual(len(without), len(actions))
        for action in without:
            self.assertEqual([path for path in action.inputs if path.endswith((".whl", "/built_wheel"))], [], action.outputs)

    def test_a_wheel_is_one_more_line_of_arguments(self) -> None:
        for image, wheel in [("image", 1), ("image_without_wheels", 0)]:
            outputs = [path.name for path in self.workspace.files(f"//real:{image}")]
            for name, takes in TAKES.items():
                lines = [line for line in self.last(image, name) if line.startswith("--wheel=")]
                self.assertEqual([package(line) for line in lines], takes if wheel else [], name)
            self.assertEqual(len(outputs), len(TAKES))
            # jinja2 has one tree and one wheel, however many files are in them.
            trees = [line for line in self.last(image, "actual_install_pip_layer.tar.gz") if line.startswith(("--tree=", "--file="))]
            self.assertEqual(len(trees), 1)

    def last(self, image: str, name: str) -> list[str]:
        """The argument lines of an image's layer; each tier has a configuration of its own."""
        name = name.replace("image_", image + "_")
        (blob,) = [path for path in self.workspace.files(f"//real:{image}") if path.name == name]
        lines = self.params(blob)
        segments = [line.removeprefix("--segment=") for line in lines if line.startswith("--segment=")]
        return lines + [line for path in segments for line in self.params(self.workspace.folder / path)]

    def params(self, output: pathlib.Path) -> list[str]:
        """The argument lines of the action that writes a file."""
        return output.with_name(output.name + "-0.params").read_text(encoding="utf-8").splitlines()

    def test_images_share_layers_made_with_wheels(self) -> None:
        def outputs(image: str) -> set[str]:
            actions = self.workspace.actions(f'mnemonic("PyImagePkgLayer", deps(//real:{image}))')
            return {output for action in actions for output in action.outputs}

        self.assertEqual(outputs("image"), outputs("other_image"))
        # By `deps` and `actual`, or by `venv` and `resolutions`, they are the same packages.
        self.assertEqual(outputs("image"), outputs("venv_image"))
        self.assertEqual(len(outputs("image")), 2 * 6)

    def test_without_its_wheel_a_package_is_compressed(self) -> None:
        # The packages that are made of JSON have none; images of them are built, and run.
        lines = [path.read_text() for path in self.workspace.folder.glob("bazel-out/*/bin/wheels/alpha_pip_layer.tar.gz-0.params")]
        self.assertTrue(lines)
        for text in lines:
            self.assertNotIn("--wheel", text)
