"""A binary with virtual dependencies and with symlinks in its runfiles, an opaque tool, and a tree."""

def _linked_binary_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\nexec cat \"$0.runfiles/%s/links/branding.txt\"\n" % ctx.workspace_name, is_executable = True)
    link = ctx.actions.declare_file(ctx.label.name + ".link")
    ctx.actions.symlink(output = link, target_file = ctx.file.linked_file)
    runfiles = ctx.runfiles(
        files = [link] + ctx.files.data,
        root_symlinks = {"top/wheel": ctx.file.linked_tree},
        symlinks = {
            "links/branding.txt": ctx.file.linked_file,
            "links/tree": ctx.file.linked_tree,
            ctx.attr.own_place: ctx.file.own,
        },
    )
    for target in ctx.attr.data + ctx.attr.resolutions.keys() + ctx.attr.deps + ctx.attr.unknown:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher, link]),
        runfiles = runfiles,
    )]

linked_binary = rule(
    implementation = _linked_binary_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "deps": attr.label_list(),
        "linked_file": attr.label(allow_single_file = True),
        "linked_tree": attr.label(allow_single_file = True),
        "own": attr.label(allow_single_file = True),
        "own_place": attr.string(default = "links/own.txt"),
        "resolutions": attr.label_keyed_string_dict(),
        "unknown": attr.label_list(),
    },
    executable = True,
)

def _opaque_tool_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\n", is_executable = True)
    runfiles = ctx.runfiles(files = [launcher])
    for target in ctx.attr.needs:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return [DefaultInfo(
        executable = launcher,
        runfiles = runfiles,
    )]

# Its `needs` are an attribute that pylayer knows nothing of.
opaque_tool = rule(
    implementation = _opaque_tool_impl,
    attrs = {"needs": attr.label_list()},
    executable = True,
)

def _source_tree_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        arguments = [tree.path],
        command = "mkdir \"$1/a folder\" && echo tree > \"$1/a folder/tree payload.txt\" && ln -s 'a folder/tree payload.txt' \"$1/link\"",
        outputs = [tree],
    )
    return [DefaultInfo(
        files = depset([tree]),
        runfiles = ctx.runfiles(files = [tree]),
    )]

# A tree of a rule that is no package.
source_tree = rule(
    implementation = _source_tree_impl,
)
