"""A binary as rules_python has it since it has virtual environments of its own.

Its launcher starts a second one with the interpreter of the environment, which
is a link. Only the first one and the main source are among its outputs; all
else is in its runfiles alone.
"""

load("@rules_python//python:defs.bzl", "PyInfo")

_TOOLCHAIN = "@bazel_tools//tools/python:toolchain_type"

_LAUNCHER = """\
#!/bin/sh
runfiles="${{RUNFILES_DIR:-$0.runfiles}}"
exec "$runfiles/{python}" "$runfiles/{second}" "$@"
"""

_SECOND = """\
import os
import runpy
import site

runfiles = os.path.abspath(__file__)[: -len("/{second}")]
for path in {imports}:
    site.addsitedir(os.path.join(runfiles, path))
runpy.run_path(os.path.join(runfiles, "{main}"), run_name="__main__")
"""

def _path(ctx, file):
    return file.short_path[3:] if file.short_path.startswith("../") else ctx.workspace_name + "/" + file.short_path

def _link(ctx, link, target):
    """A link in the runfiles to another place there. It leads nowhere where it is written."""
    up = "../" * len(_path(ctx, link).split("/")[:-1])

    ctx.actions.symlink(output = link, target_path = up + target)

def _bootstrapped_impl(ctx):
    runtime = ctx.toolchains[_TOOLCHAIN].py3_runtime
    launcher = ctx.actions.declare_file(ctx.label.name)
    second = ctx.actions.declare_file("_%s_stage2_bootstrap.py" % ctx.label.name)
    venv = "_%s.venv" % ctx.label.name
    config = ctx.actions.declare_file(venv + "/pyvenv.cfg")
    python = ctx.actions.declare_symlink(venv + "/bin/python3")

    # For an archive of all runfiles, which nobody asks for.
    unused = ctx.actions.declare_file(ctx.label.name + "_zip__main__.py")
    archive = ctx.actions.declare_file(ctx.label.name + ".zip")

    ctx.actions.write(config, "")
    ctx.actions.write(unused, "")
    _link(ctx, python, _path(ctx, runtime.interpreter))
    packages = []
    for target, name in ctx.attr.links.items():
        package = ctx.actions.declare_symlink("%s/lib/python3.11/site-packages/%s" % (venv, name))
        _link(ctx, package, "%s/site-packages/%s" % (target.label.repo_name, name))
        packages.append(package)
    imports = depset(transitive = [dep[PyInfo].imports for dep in ctx.attr.deps])
    ctx.actions.write(second, _SECOND.format(
        imports = imports.to_list(),
        main = _path(ctx, ctx.file.main),
        second = _path(ctx, second),
    ))
    ctx.actions.write(
        launcher,
        _LAUNCHER.format(python = _path(ctx, python), second = _path(ctx, second)),
        is_executable = True,
    )
    runfiles = ctx.runfiles(
        files = [launcher, ctx.file.main, second, config, python, runtime.interpreter] + packages,
        transitive_files = runtime.files,
    )
    for dep in ctx.attr.deps:
        runfiles = runfiles.merge(dep[DefaultInfo].default_runfiles)
    ctx.actions.run_shell(
        command = "echo the archive was built >&2; exit 1",
        inputs = depset([unused], transitive = [runfiles.files]),
        mnemonic = "PythonZipper",
        outputs = [archive],
    )
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher, ctx.file.main]),
        runfiles = runfiles,
    )]

# Of this kind, the interpreter is among its runfiles.
py_binary = rule(
    implementation = _bootstrapped_impl,
    attrs = {
        "deps": attr.label_list(providers = [PyInfo]),
        "links": attr.label_keyed_string_dict(),
        "main": attr.label(allow_single_file = [".py"]),
    },
    executable = True,
    toolchains = [_TOOLCHAIN],
)
