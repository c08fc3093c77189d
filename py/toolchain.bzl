"""The worker's toolchain, for a worker of your own. MODULE.bazel has the usual ways to get one."""

load("//py/private:providers.bzl", _PyLayerToolchainInfo = "PyLayerToolchainInfo")
load("//py/private:toolchain.bzl", _py_layer_toolchain = "py_layer_toolchain")

py_layer_toolchain = _py_layer_toolchain
PyLayerToolchainInfo = _PyLayerToolchainInfo
