"""The worker's toolchain, for a worker that you build yourself."""

load("//py/private:providers.bzl", _PyLayerToolchainInfo = "PyLayerToolchainInfo")
load("//py/private:toolchain.bzl", _py_layer_toolchain = "py_layer_toolchain")

py_layer_toolchain = _py_layer_toolchain
PyLayerToolchainInfo = _PyLayerToolchainInfo
