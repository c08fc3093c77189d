"""Rules that look to pylayer like those of Python, without Python."""

def _merge_runfiles(runfiles, targets):
    for target in targets:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return runfiles

def _fake_wheel_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".install")
    ctx.actions.run_shell(
        command = "mkdir -p $1/lib/python3.11/site-packages && echo > $1/lib/python3.11/site-packages/$2.py",
        arguments = [tree.path, ctx.label.name],
        outputs = [tree],
    )
    return [
        DefaultInfo(
            files = depset([tree]),
            runfiles = _merge_runfiles(ctx.runfiles(files = [tree]), ctx.attr.deps),
        ),
        OutputGroupInfo(install_dir = depset([tree])),
    ]

# A package as rules_py has it: one tree, in the output group install_dir.
fake_wheel = rule(
    implementation = _fake_wheel_impl,
    attrs = {"deps": attr.label_list()},
)

def _py_unpacked_wheel_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".tree")
    ctx.actions.run_shell(command = "mkdir -p %s && echo > %s/a.py" % (tree.path, tree.path), outputs = [tree])
    return [DefaultInfo(
        files = depset([tree]),
        runfiles = ctx.runfiles(files = [tree]),
    )]

# A package that is known by its kind.
py_unpacked_wheel = rule(
    implementation = _py_unpacked_wheel_impl,
)

def _fake_library_impl(ctx):
    runfiles = ctx.runfiles(files = ctx.files.srcs + ctx.files.data + ctx.files.hidden)
    return [DefaultInfo(
        files = depset(ctx.files.srcs),
        runfiles = _merge_runfiles(runfiles, ctx.attr.deps + ctx.attr.data + ctx.attr.hidden),
    )]

# A library. `hidden` is an edge that no aspect of pylayer follows.
fake_library = rule(
    implementation = _fake_library_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "deps": attr.label_list(),
        "hidden": attr.label_list(allow_files = True),
        "srcs": attr.label_list(allow_files = True),
    },
)

def _fake_binary_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\n", is_executable = True)
    runfiles = ctx.runfiles(
        files = [launcher] + ctx.files.srcs + ctx.files.data,
        root_symlinks = {"top/own.txt": ctx.file.link} if ctx.file.link else {},
        symlinks = {
            "links/%s" % (file.basename): file
            for file in ctx.files.linked
        },
    )
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher] + ctx.files.srcs),
        runfiles = _merge_runfiles(runfiles, ctx.attr.deps + ctx.attr.data + ctx.attr.resolutions.keys()),
    )]

# A binary, with every edge that pylayer follows.
fake_binary = rule(
    implementation = _fake_binary_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "deps": attr.label_list(),
        "link": attr.label(allow_single_file = True),
        "linked": attr.label_list(allow_files = True),
        "resolutions": attr.label_keyed_string_dict(),
        "srcs": attr.label_list(allow_files = True),
    },
    executable = True,
)
