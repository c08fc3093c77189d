"""The worker's toolchain: a rule to declare one, and two ways to have one."""

load("//py/private:host_cargo.bzl", _pylayer_host_repositories = "pylayer_host_repositories")
load("//py/private:prebuilt.bzl", _pylayer_prebuilt_repositories = "pylayer_prebuilt_repositories")
load("//py/private:providers.bzl", _PyLayerToolchainInfo = "PyLayerToolchainInfo")
load("//py/private:toolchain.bzl", _py_layer_toolchain = "py_layer_toolchain")

py_layer_toolchain = _py_layer_toolchain
PyLayerToolchainInfo = _PyLayerToolchainInfo

def pylayer_host_toolchain(name = "pylayer_toolchains"):
    """For a WORKSPACE: builds the worker with the host's cargo and registers it.

    With MODULE.bazel nothing needs to be called: pylayer's module does the
    same. The worker is built when the first layer is, not before.
    `PYLAYER_BINARY=/path/to/pylayer` in the environment takes that binary
    instead and needs no cargo.

    Args:
      name: of the repository with the toolchain.
    """
    _pylayer_host_repositories(name = name)
    native.register_toolchains("@%s//:all" % name)

def pylayer_prebuilt_toolchain(lockfile, name = "pylayer_toolchains"):
    """For a WORKSPACE: downloads the worker and registers it.

    With MODULE.bazel: `pylayer.prebuilt(lockfile = ...)`, a tag of the extension
    in `//py:extensions.bzl`.

    Args:
      lockfile: label of a JSON file with the workers' addresses and SHA-256
        digests, by platform; docs/rules.md has its form.
      name: of the repository with the toolchains.
    """
    _pylayer_prebuilt_repositories(
        name = name,
        lockfile = lockfile,
    )
    native.register_toolchains("@%s//:all" % name)
