"""A virtual environment and a binary in it, as rules_py has them."""

load("@rules_python//python:defs.bzl", "PyInfo")

_TOOLCHAIN = "@bazel_tools//tools/python:toolchain_type"

_LAUNCHER = """\
#!/usr/bin/env python3
import os
import runpy
import site
import sys

runfiles = os.environ.get("RUNFILES_DIR") or os.path.abspath(sys.argv[0]) + ".runfiles"
site.addsitedir(os.path.join(runfiles, "{site_packages}"))
runpy.run_path(os.path.join(runfiles, "{main}"), run_name="__main__")
"""

def _py_venv_impl(ctx):
    folder = ".%s.venv/lib/python3.11/site-packages" % ctx.label.name
    paths = ctx.actions.declare_file(folder + "/venv.pth")
    wheels = ctx.attr.deps + ctx.attr.resolutions.keys()
    imports = depset(transitive = [wheel[PyInfo].imports for wheel in wheels])

    # From the folder of the file to the runfiles.
    up = "../" * len((ctx.workspace_name + "/" + paths.short_path).split("/")[:-1])
    ctx.actions.write(paths, "".join([up + path + "\n" for path in imports.to_list()]))
    runfiles = ctx.runfiles(files = [paths])
    for wheel in wheels:
        runfiles = runfiles.merge(wheel[DefaultInfo].default_runfiles)
    return [DefaultInfo(
        files = depset([paths]),
        runfiles = runfiles,
    )]

py_venv = rule(
    implementation = _py_venv_impl,
    attrs = {
        "deps": attr.label_list(providers = [PyInfo]),
        "resolutions": attr.label_keyed_string_dict(providers = [PyInfo]),
    },
)

def _py_venv_exec_impl(ctx):
    (paths,) = ctx.attr.venv[DefaultInfo].files.to_list()
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        launcher,
        _LAUNCHER.format(
            main = ctx.workspace_name + "/" + ctx.file.main.short_path,
            site_packages = (ctx.workspace_name + "/" + paths.short_path).rpartition("/")[0],
        ),
        is_executable = True,
    )
    runtime = ctx.toolchains[_TOOLCHAIN].py3_runtime
    runfiles = ctx.runfiles(
        files = [launcher, ctx.file.main, runtime.interpreter] + ctx.files.data,
        transitive_files = runtime.files,
    )
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher, ctx.file.main]),
        runfiles = runfiles.merge(ctx.attr.venv[DefaultInfo].default_runfiles),
    )]

py_venv_exec = rule(
    implementation = _py_venv_exec_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "main": attr.label(allow_single_file = [".py"]),
        "venv": attr.label(mandatory = True),
    },
    executable = True,
    toolchains = [_TOOLCHAIN],
)
