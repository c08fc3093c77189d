#!/usr/bin/env python3
"""docs/rules.md names every attribute and every field that users can see.

    python3 py/tests/docs_test.py

A .bzl file is Python enough for Python's own parser.
"""

import ast
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRIVATE = ROOT / "py/private"


def call_of(file: str, symbol: str) -> ast.Call:
    """The call that a global of a file is assigned."""
    for node in ast.parse((PRIVATE / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == symbol and isinstance(node.value, ast.Call):
            return node.value
    sys.exit(f"{file} has no {symbol}")


def keys(call: ast.Call, argument: str) -> list[str]:
    """The keys of a dict that a call is given."""
    (value,) = [keyword.value for keyword in call.keywords if keyword.arg == argument]
    return [key.value for key in value.keys if not key.value.startswith("_")]


def parameters(file: str, symbol: str) -> list[str]:
    """The parameters of a macro."""
    for node in ast.parse((PRIVATE / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == symbol:
            return [argument.arg for argument in node.args.args]
    sys.exit(f"{file} has no {symbol}")


def section(title: str) -> str:
    """What the page says below a heading."""
    page = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if not found:
        sys.exit(f"docs/rules.md has no section {title}")
    return found[1]


class Docs(unittest.TestCase):
    """The page is complete."""

    def check(self, title: str, names: list[str]) -> None:
        rows = re.findall(r"^\| `([^`]+)`", section(title), re.MULTILINE)
        self.assertEqual([name for name in names if name not in rows], [], title)

    def test_attributes(self) -> None:
        self.check("py_layer_tier", keys(call_of("tier.bzl", "py_layer_tier"), "attrs"))
        self.check("py_image_layer", parameters("image_macro.bzl", "py_image_layer"))
        self.check("The worker's toolchain", keys(call_of("toolchain.bzl", "py_layer_toolchain"), "attrs"))

    def test_fields(self) -> None:
        for provider in ("PyImageLayersInfo", "PyLayerTierInfo", "PyLayerToolchainInfo"):
            self.check("Providers", keys(call_of("providers.bzl", provider), "fields"))

    def test_output_groups(self) -> None:
        source = (PRIVATE / "image_layer.bzl").read_text(encoding="utf-8")
        groups = re.search(r"OutputGroupInfo\((.*?)\n        \)", source, re.DOTALL)[1]
        self.check("py_image_layer", re.findall(r"^\s+(\w+) = ", groups, re.MULTILINE))

    def test_tests_exist(self) -> None:
        sources = "\n".join(
            path.read_text(encoding="utf-8")
            for folder, pattern in [("py/tests", "*.bazel"), ("py/tests", "*.bzl"), ("py/tests/e2e", "*.py"), ("tests", "*.rs")]
            for path in (ROOT / folder).rglob(pattern)
        )
        for title, column in [("Better than rules_py's #960", 4), ("rules_py's acceptance tests", 3)]:
            rows = [re.split(r" \| ", row.strip("| ")) for row in re.findall(r"^\|.*$", section(title), re.MULTILINE)[2:]]
            self.assertGreaterEqual(len(rows), 10)
            for row in rows:
                self.assertEqual(len(row), column, row)
                names = [name for name in re.findall(r"`([a-z0-9_]+)`", row[-1]) if name.count("_") > 1 or name.endswith("_test")]
                self.assertTrue(names, row)
                for name in names:
                    # Some names are put together by a loop, or from a suite's and a case's.
                    parts = [name, *re.findall(r"^(?:tier|image)_failures_(.*)", name)] + [
                        name.removesuffix(suffix) for suffix in ("_test", "_order_test") if name.endswith(suffix) and name != "test"
                    ]
                    found = any(re.search(rf"fn {part}\(|def {part}\(|\"{part}\"", sources) for part in parts)
                    self.assertTrue(found, f"{name}: {row}")

    def test_everything_public_is_named(self) -> None:
        page = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
        for file in ("defs.bzl", "toolchain.bzl"):
            tree = ast.parse((ROOT / "py" / file).read_text(encoding="utf-8"))
            names = [node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)]
            names += [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
            self.assertTrue(names)
            for name in names:
                self.assertIn(name, page)


if __name__ == "__main__":
    unittest.main()
