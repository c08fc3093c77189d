"""What the images hold, and whether they run."""

import json
import os
import pathlib
import shlex
import subprocess
import tempfile

from built import MARKUPSAFE, OTHER, PYTHON, WORKSPACE, Built

# The command that runs a program where Bazel's Python is: words as a shell takes them.
RUN = shlex.split(os.environ.get("E2E_RUN", ""))


class Contents(Built):
    """What the images hold."""

    def expected(self, *binaries: str) -> dict[str, bytes | None]:
        """The union of the binaries' runfiles, as Bazel lists them."""
        places: dict[str, bytes | None] = {}
        for binary in binaries:
            places.update(self.runfiles[binary])
        return places

    def check(self, name: str, expected: dict[str, bytes | None]) -> None:
        """An image holds exactly this, each place once, and every link leads there."""
        image = self.images[name]
        self.assertEqual(image.places(), sorted(expected), name)
        root = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
        image.extract(root)
        for place, contents in expected.items():
            path = root / place
            target = path.resolve(strict=True)
            self.assertTrue(target.is_relative_to(root.resolve()), f"{place} leads to {target}")
            if target.is_file() and contents is not None:
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
                    self.assertNotIn(pathlib.Path(place).name, {"direct_url.json", "uv_cache.json"})

    def test_a_binary(self) -> None:
        for name, binary in [
            ("app", "app/app"),
            ("server", "app/server"),
            ("without_tier", "app/app"),
            ("other_platform_image", "app/app"),
            ("real:image", "real/app"),
            ("real:image_without_wheels", "real/app"),
            ("real:venv_image", "real/app_in_venv"),
            ("real:test_image", "real/test"),
            ("real:bootstrapped_image", "real/bootstrapped"),
        ]:
            expected = self.expected(binary)
            expected["app"] = expected.pop(f"app.runfiles/{WORKSPACE}/{binary}")
            self.check(name, expected)

    def test_links_and_root_links(self) -> None:
        expected = self.expected("app/linked")
        expected["app"] = expected.pop(f"app.runfiles/{WORKSPACE}/app/linked")
        # A tree that another layer has is reached by one link.
        for place, tree in [("top/wheel", f"../{WORKSPACE}/wheels"), (f"{WORKSPACE}/links/tree", "../wheels")]:
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
        expected = self.expected(f"external/{OTHER}/elsewhere")
        expected["app"] = expected.pop(f"app.runfiles/{OTHER}/elsewhere")
        self.check("elsewhere", expected)

    def test_links_that_are_made_for_the_runfiles_stay(self) -> None:
        members = self.images["real:bootstrapped_image"].layer("bootstrapped_image_default").members()
        venv = f"app.runfiles/{WORKSPACE}/real/_bootstrapped.venv"
        self.assertEqual(
            {member.name: member.linkname for member in members if member.issym()},
            {
                f"{venv}/bin/python3": f"../../../../{PYTHON}/bin/python3",
                f"{venv}/lib/python3.11/site-packages/markupsafe": f"../../../../../../{MARKUPSAFE}/site-packages/markupsafe",
            },
        )

    def test_several_binaries(self) -> None:
        for image, package, names in [("both", "app", ("app", "server")), ("real:both_in_venv", "real", ("app_in_venv", "other_in_venv"))]:
            expected = self.expected(*[f"{package}/{name}" for name in names])
            for name in names:
                expected[f"app/bin/{name}"] = expected[f"app.runfiles/{WORKSPACE}/{package}/{name}"]
                expected[f"app/bin/{name}.runfiles"] = b""
            self.check(image, expected)
        data = [place for place in self.images["real:both_in_venv"].layer("both_in_venv_default").places() if place.endswith(".txt")]
        self.assertEqual(data, [f"app.runfiles/{WORKSPACE}/real/{name}.txt" for name in ("app", "other")])
        self.assertEqual(
            [layer.digest for layer in self.images["both"].layers],
            [layer.digest for layer in self.images["reversed"].layers],
        )

    def test_they_run(self) -> None:
        environment = {"E2E_WORKSPACE": WORKSPACE, "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
        line = "server pylayer blue tagged alpha split"
        app = f"pylayer blue tagged 3\nalpha beta gamma nested odd split unpacked\ne acute\n{line}\n"
        real = "hello &lt;pylayer&gt; True xn--9ca.fr {} built\n"
        for name, launcher, output in [
            ("app", "app", app),
            ("without_tier", "app", app),
            ("both", "app/bin/app", app),
            ("both", "app/bin/server", line + "\n"),
            ("elsewhere", "app", "elsewhere tagged\n"),
            ("linked", "app", "pylayer\n"),
            ("real:image", "app", real),
            ("real:venv_image", "app", real),
            ("real:both_in_venv", "app/bin/app_in_venv", real),
            ("real:both_in_venv", "app/bin/other_in_venv", real),
            ("real:test_image", "app", real),
            ("real:bootstrapped_image", "app", real),
        ]:
            root = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
            self.images[name].extract(root)
            result = self.execute(root / launcher, environment)
            self.assertEqual(result, output, name)

    def execute(self, launcher: pathlib.Path, environment: dict[str, str]) -> str:
        """Runs a launcher where its image was extracted."""
        result = subprocess.run([*RUN, launcher], env=environment, capture_output=True, text=True, check=False, cwd="/")
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

        self.assertEqual(files("interpreter_layer"), [f"{PYTHON}/{name}" for name in ("bin/python3", "bin/python3.11", "lib/os.py")])
        # util.py matches both groups' patterns: it is in the first one, by name.
        self.assertEqual(files("split_pip_layer_split_code"), ["split/__init__.py", "split/lib/util.py"])
        self.assertEqual(files("split_pip_layer_split_lib"), ["split/lib/libsplit.so", "split/lib/libsplit.so.1"])
        self.assertEqual(files("split_pip_layer.tar"), [*(f"split-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL")), "split/notes.md"])
        self.assertEqual(files("pkg_pip_layer_tagged_native"), ["tagged/native.so"])
        self.assertIn("tagged/__init__.py", files("pkg_pip_layer.tar"))
        self.assertEqual(files("app_branding"), [f"{WORKSPACE}/lib/branding.py", f"{WORKSPACE}/lib/branding.txt"])
        tree = ["grouped_tree/a folder/tree payload.txt", "grouped_tree/link"]
        places = [*tree, "pages.py", "texts/one.txt", "texts/two.txt"]
        self.assertEqual(files("app_texts"), [f"{WORKSPACE}/lib/{name}" for name in places])
        default = [place for place in files("app_default") if "tree" in place]
        self.assertEqual(default, [f"{WORKSPACE}/lib/tree/{name}" for name in ("a folder/tree payload.txt", "link")])
        squashed = {name.split("/")[0] for name in files("app_squashed") if "dist-info" not in name}
        self.assertEqual(squashed, {"in_data", "in_tool", "nested", "odd", "unpacked"})
        linked = {name.split("/wheels/")[-1].split(".")[0] for name in self.images["linked"].layer("linked_squashed").places()}
        self.assertEqual(linked, {"in_tool", "virtual"})
