"""The host's python3 as an interpreter of the build: what an image gets as its own layer.

A real project takes the interpreters that rules_python or rules_py fetch. This
one needs no download, and its wheels are those of the same Python.
"""

_BUILD = """\
load("@rules_python//python:defs.bzl", "py_runtime", "py_runtime_pair")

py_runtime(
    name = "runtime",
    files = glob(
        ["bin/**", "lib/**"],
        # Running the interpreter writes them: a layer would change by being used.
        exclude = ["**/__pycache__/**"],
    ),
    interpreter = "bin/python3",
    python_version = "PY3",
)

py_runtime_pair(
    name = "pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def _host_python_impl(rctx):
    python = rctx.os.environ.get("WEBAPI_PYTHON") or rctx.which("python3")
    if not python:
        fail("%s: no python3 in PATH, and WEBAPI_PYTHON is not set" % rctx.name)
    result = rctx.execute([python, rctx.path(rctx.attr._copy)], timeout = 600)
    if result.return_code != 0:
        fail("%s: copying %s failed (exit code %d):\n%s" % (rctx.name, python, result.return_code, result.stderr))
    rctx.file("BUILD.bazel", _BUILD)

host_python = repository_rule(
    implementation = _host_python_impl,
    doc = "Copies the host's python3 (or WEBAPI_PYTHON) with its standard library, as a Python toolchain.",
    attrs = {
        "_copy": attr.label(
            allow_single_file = True,
            default = Label("//rules:copy_python.py"),
        ),
    },
    environ = ["WEBAPI_PYTHON"],
)
