#!/usr/bin/env python3
"""What the rules' sources promise: analysis costs nothing, and files stay short.

    python3 py/tests/source_test.py

A .bzl file is Python enough for Python's own parser.
"""

import ast
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_LINES = 400

# Functions that flatten a depset at analysis, and what it is of: never of files.
FLATTENS_AT_ANALYSIS = {
    "add_runfiles_links": "symlinks of the runfiles",
    "groups_of_image": "groups",
    "interpreters_once": "interpreters",
    "packages_by_name": "packages",
}


def flattening(path: pathlib.Path) -> list[str]:
    """The functions that call `to_list`."""
    functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]
    return [
        function.name
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "to_list"
    ]


class Sources(unittest.TestCase):
    """The rules' own files."""

    def test_no_depset_of_files_is_flattened_at_analysis(self) -> None:
        at_analysis = set()
        for path in (ROOT / "py").rglob("*.bzl"):
            if "tests" in path.parts:
                continue
            # `..._lines` are given to Args.add_all as map_each: they run with the action.
            at_analysis |= {name for name in flattening(path) if not name.endswith("_lines")}
        self.assertEqual(at_analysis, set(FLATTENS_AT_ANALYSIS))

    def test_lines_are_made_when_the_action_runs(self) -> None:
        for path in (ROOT / "py/private").glob("*.bzl"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("_lines"):
                    self.assertIn(node.func.id, {"add_lines", "source_lines"}, path.name)

    def test_files_are_short(self) -> None:
        for pattern in ("*.bzl", "*.bazel", "*.py"):
            for path in (ROOT / "py").rglob(pattern):
                lines = len(path.read_text(encoding="utf-8").splitlines())
                self.assertLessEqual(lines, MOST_LINES, path)


if __name__ == "__main__":
    unittest.main()
