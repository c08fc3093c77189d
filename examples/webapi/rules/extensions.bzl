"""The module extension of MODULE.bazel. A WORKSPACE never loads this file."""

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
