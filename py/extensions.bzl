"""The module extension of MODULE.bazel. A WORKSPACE never loads this file."""

load("//py/private:host_cargo.bzl", "pylayer_host_repositories")

def _pylayer_impl(_module_ctx):
    pylayer_host_repositories()

pylayer = module_extension(
    implementation = _pylayer_impl,
    doc = "The worker, built from source by the host's cargo, as a toolchain.",
)
