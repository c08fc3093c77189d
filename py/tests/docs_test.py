#!/usr/bin/env python3
"""What pages say about the rules is there. docs/reference/rules.md is generated: `cargo xtask docs`.

    python3 py/tests/docs_test.py
"""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRIVATE = ROOT / "py/private"


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


class Docs(unittest.TestCase):
    """The pages are complete."""

    def test_output_groups(self) -> None:
        source = (PRIVATE / "image_layer.bzl").read_text(encoding="utf-8")
        groups = re.search(r"OutputGroupInfo\((.*?)\n        \)", source, re.DOTALL)[1]
        rows = re.findall(r"^\| `([^`]+)`", page("reference/rules.md"), re.MULTILINE)
        self.assertEqual([name for name in re.findall(r"^\s+(\w+) = ", groups, re.MULTILINE) if name not in rows], [])

    def test_mnemonics(self) -> None:
        """Whoever passes a flag to the worker finds every mnemonic."""
        source = (PRIVATE / "actions.bzl").read_text(encoding="utf-8")
        mnemonics = re.findall(r"^MNEMONIC_\w+ = \"(\w+)\"", source, re.MULTILINE)
        self.assertGreaterEqual(len(mnemonics), 5)
        lines = page("how-to/worker.md")
        self.assertEqual([name for name in mnemonics if f"--worker_extra_flag={name}=" not in lines], [])

    def test_tests_exist(self) -> None:
        sources = "\n".join(
            path.read_text(encoding="utf-8")
            for folder, pattern in [("py/tests", "*.bazel"), ("py/tests", "*.bzl"), ("py/tests/e2e", "*.py"), ("tests", "*.rs")]
            for path in (ROOT / folder).rglob(pattern)
        )
        for name, column in [("rules_py-960.md", 4), ("rules_py-tests.md", 3)]:
            table = re.findall(r"^\|.*$", page(f"explanation/{name}"), re.MULTILINE)
            rows = [re.split(r" \| ", row.strip("| ")) for row in table[2:]]
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


if __name__ == "__main__":
    unittest.main()
