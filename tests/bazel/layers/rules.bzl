"""One action of the worker a target, with the requirements that all its actions have."""

# The test is of the same repository as the rules.
load("@pylayer//py/private:actions.bzl", "run_worker")  # buildifier: disable=bzl-visibility
load("@pylayer//py/private:toolchain.bzl", "TOOLCHAIN_TYPE")  # buildifier: disable=bzl-visibility

def _layer_impl(ctx):
    blob = ctx.actions.declare_file(ctx.label.name + ".layer")
    metadata = ctx.actions.declare_file(ctx.label.name + ".layer.json")
    args = ctx.actions.args()
    args.use_param_file("@%s", use_always = True)
    args.set_param_file_format("multiline")
    args.add("layer")
    args.add(blob, format = "--output=%s")
    args.add(metadata, format = "--metadata=%s")
    args.add(ctx.attr.compression, format = "--compression=%s")
    for file in ctx.files.srcs:
        args.add_all([file], expand_directories = False, format_each = "--tree=%s" if file.is_directory else "--file=%s")
        args.add_all([file], expand_directories = False, format_each = "--to=%s")
    run_worker(
        ctx,
        args,
        mnemonic = "PyImageLayer",
        progress_message = "Layer %s" % ctx.label,
        inputs = depset(ctx.files.srcs),
        outputs = [blob, metadata],
    )
    return [
        DefaultInfo(files = depset([blob])),
        OutputGroupInfo(metadata = depset([metadata])),
    ]

layer = rule(
    implementation = _layer_impl,
    doc = "A layer of files and trees, each at its own path.",
    attrs = {
        "compression": attr.string(
            default = "none",
            doc = "Codec and level.",
        ),
        "srcs": attr.label_list(
            allow_files = True,
            doc = "What is in it.",
        ),
    },
    toolchains = [TOOLCHAIN_TYPE],
)

def _tree_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".tree")
    ctx.actions.run_shell(
        arguments = [tree.path],
        command = "mkdir -p \"$1/nn\" && echo 1 >\"$1/nn/é.py\" && echo 2 >\"$1/日本.py\" && ln -s nn/é.py \"$1/link\"",
        mnemonic = "OddTree",
        outputs = [tree],
    )
    return [DefaultInfo(files = depset([tree]))]

tree = rule(
    implementation = _tree_impl,
    doc = "A tree whose names are not ASCII, with a link in it.",
)
