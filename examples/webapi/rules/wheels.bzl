"""Wheels from the package index, as one repository: `@pip//numpy`, `@pip//flask`, ..."""

_TIMEOUT_SECONDS = 1800

def _run(rctx, command, why):
    result = rctx.execute(command, quiet = False, timeout = _TIMEOUT_SECONDS)
    if result.return_code != 0:
        fail("%s: %s failed (exit code %d):\n%s" % (rctx.name, why, result.return_code, result.stderr or result.stdout))

def _wheels_impl(rctx):
    python = rctx.os.environ.get("WEBAPI_PYTHON") or rctx.which("python3")
    if not python:
        fail("%s: no python3 in PATH, and WEBAPI_PYTHON is not set" % rctx.name)
    requirements = rctx.path(rctx.attr.requirements)
    hub = rctx.path(rctx.attr._hub)
    if hasattr(rctx, "report_progress"):
        rctx.report_progress("pip downloads the wheels")
    download = [
        python,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--dest",
        "wheels",
        "--requirement",
        requirements,
    ]
    _run(rctx, download, "pip download")
    _run(rctx, [python, hub, "wheels"], "writing the BUILD files")

wheels = repository_rule(
    implementation = _wheels_impl,
    doc = "Downloads the wheels of a requirements file, which has to have their hashes, for the host's python3 (or WEBAPI_PYTHON).",
    attrs = {
        "requirements": attr.label(
            allow_single_file = True,
            doc = "Pinned requirements with hashes, all dependencies included.",
            mandatory = True,
        ),
        "_hub": attr.label(
            allow_single_file = True,
            default = Label("//rules:hub.py"),
        ),
    },
    environ = ["WEBAPI_PYTHON"],
)
