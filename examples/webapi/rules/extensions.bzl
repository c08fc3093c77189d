"""The module extensions of MODULE.bazel."""

load(":host_python.bzl", _host_python = "host_python")
load(":wheels.bzl", _wheels = "wheels")

def _wheels_impl(_module_ctx):
    _wheels(
        name = "pip",
        requirements = Label("//:requirements.txt"),
    )

wheels = module_extension(
    implementation = _wheels_impl,
    doc = "The wheels of requirements.txt.",
)

def _host_python_impl(_module_ctx):
    _host_python(name = "python")

host_python = module_extension(
    implementation = _host_python_impl,
    doc = "The host's python3 as the build's interpreter.",
)
