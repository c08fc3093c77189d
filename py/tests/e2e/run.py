#!/usr/bin/env python3
"""Builds images with the real Bazel and worker, and looks at what is in them.

    python3 py/tests/e2e/run.py

Needs Bazel 7 or later, pip, and the package index. BAZEL is the command that is
Bazel, else `bazel`; the worker is PYLAYER_BINARY, else target/release/pylayer of
this repository. E2E_OUTPUT_ROOT keeps Bazel's output for the next run.
Where Bazel is in a root of its own, E2E_RUN is the command that runs a program there.
"""

import sys
import unittest

sys.dont_write_bytecode = True

from builds import Builds  # noqa: E402, F401
from built import all_images  # noqa: E402
from contents import Contents  # noqa: E402, F401
from with_wheels import Wheels  # noqa: E402, F401

if __name__ == "__main__":
    with all_images():
        unittest.main()
