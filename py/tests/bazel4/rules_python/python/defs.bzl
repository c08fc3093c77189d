"""What a build that is written for rules_python loads, as Bazel 4's native rules."""

load(":native.bzl", "NativePyInfo")

PyInfo = NativePyInfo
py_binary = native.py_binary
py_library = native.py_library
py_test = native.py_test
