"""Bazel 4's own provider, under a name that can be given back as PyInfo."""

NativePyInfo = PyInfo
