"""Rules that pylayer takes for a package and a binary, without Python."""

def _package_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".install")
    ctx.actions.run_shell(
        arguments = [ctx.file.script.path, tree.path],
        command = "sh \"$1\" \"$2\"",
        inputs = [ctx.file.script],
        mnemonic = "OddTree",
        outputs = [tree],
    )
    return [
        DefaultInfo(
            files = depset([tree]),
            runfiles = ctx.runfiles(files = [tree]),
        ),
        OutputGroupInfo(install_dir = depset([tree])),
    ]

package = rule(
    implementation = _package_impl,
    doc = "A package: the tree that a script makes.",
    attrs = {
        "script": attr.label(
            allow_single_file = True,
            doc = "A shell script. Its argument is the tree.",
            mandatory = True,
        ),
    },
)

def _binary_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\n", is_executable = True)
    runfiles = ctx.runfiles(files = [launcher] + ctx.files.data)
    for dep in ctx.attr.deps:
        runfiles = runfiles.merge(dep[DefaultInfo].default_runfiles)
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher]),
        runfiles = runfiles,
    )]

binary = rule(
    implementation = _binary_impl,
    doc = "A binary with data files and packages.",
    attrs = {
        "data": attr.label_list(
            allow_files = True,
            doc = "Files.",
        ),
        "deps": attr.label_list(doc = "Packages."),
    },
    executable = True,
)
