"""A wheel, installed into a tree of its own, as a dependency of Python targets."""

load("@rules_python//python:defs.bzl", "PyInfo")

def _runfiles_path(file, workspace_name):
    """Where a file is in the runfiles."""
    if file.short_path.startswith("../"):
        return file.short_path[3:]
    return workspace_name + "/" + file.short_path

def _wheel_install_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".install")
    args = ctx.actions.args()
    args.add(ctx.file.wheel)
    args.add(tree.path)
    args.add(ctx.attr.python)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._installer,
        inputs = [ctx.file.wheel],
        mnemonic = "WheelInstall",
        outputs = [tree],
        progress_message = "Installing %s" % ctx.file.wheel.basename,
        use_default_shell_env = True,
    )
    site_packages = "%s/lib/python%s/site-packages" % (_runfiles_path(tree, ctx.workspace_name), ctx.attr.python)
    deps = [dep[PyInfo] for dep in ctx.attr.deps]
    runfiles = ctx.runfiles(files = [tree])
    for dep in ctx.attr.deps:
        runfiles = runfiles.merge(dep[DefaultInfo].default_runfiles)
    return [
        DefaultInfo(
            files = depset([tree]),
            runfiles = runfiles,
        ),
        OutputGroupInfo(install_dir = depset([tree])),
        PyInfo(
            imports = depset([site_packages], transitive = [dep.imports for dep in deps]),
            transitive_sources = depset(transitive = [dep.transitive_sources for dep in deps]),
        ),
    ]

wheel_install = rule(
    implementation = _wheel_install_impl,
    doc = "Unpacks a wheel. pylayer knows it by the output group `install_dir`.",
    attrs = {
        "deps": attr.label_list(
            doc = "The wheels that this one needs.",
            providers = [PyInfo],
        ),
        "python": attr.string(
            doc = "Version of Python, as in `lib/python3.12`.",
            mandatory = True,
        ),
        "wheel": attr.label(
            allow_single_file = [".whl"],
            doc = "The wheel.",
            mandatory = True,
        ),
        "_installer": attr.label(
            cfg = "exec",
            default = Label("//rules:install_wheel"),
            executable = True,
        ),
    },
)
