"""The host's python3 with rules_py's own rule, which makes both of its toolchains."""

_BUILD = """\
load("@aspect_rules_py//py/private/interpreter:runtime.bzl", "py_runtime_toolchain")

py_runtime_toolchain(
    name = "runtime",
    files = glob(
        ["bin/**", "lib/**"],
        exclude = ["**/__pycache__/**"],
    ),
    interpreter = "bin/python3",
    interpreter_version_info = {
        "major": "%s",
        "minor": "%s",
        "micro": "%s",
    },
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)

toolchain(
    name = "exec_tools_toolchain",
    toolchain = ":runtime",
    toolchain_type = "@aspect_rules_py//py/private/toolchain:exec_tools_toolchain_type",
)
"""

def _run(rctx, arguments):
    result = rctx.execute([rctx.which("python3")] + arguments, timeout = 600)
    if result.return_code != 0:
        fail(result.stderr)
    return result.stdout.strip()

def _host_python_impl(rctx):
    _run(rctx, [rctx.path(rctx.attr._copy)])
    version = _run(rctx, ["-c", "import sys; print(*sys.version_info[:3])"])
    rctx.file("BUILD.bazel", _BUILD % tuple(version.split(" ")))

host_python = repository_rule(
    implementation = _host_python_impl,
    doc = "Copies the host's python3 with its standard library, as toolchains of rules_py.",
    attrs = {
        "_copy": attr.label(
            allow_single_file = True,
            default = Label("//rules:copy_python.py"),
        ),
    },
)
