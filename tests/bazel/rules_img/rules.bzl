"""A package and a binary without Python, and an image's rule that takes layers as rules_img's does."""

load("@rules_img//img:providers.bzl", "LayersInfo")

def _package_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".install")
    ctx.actions.run_shell(
        arguments = [tree.path],
        command = "mkdir -p \"$1/lib/python3.11/site-packages\" && echo 1 >\"$1/lib/python3.11/site-packages/one.py\"",
        mnemonic = "Package",
        outputs = [tree],
    )
    return [
        DefaultInfo(
            files = depset([tree]),
            runfiles = ctx.runfiles([tree]),
        ),
        OutputGroupInfo(install_dir = depset([tree])),
    ]

package = rule(
    implementation = _package_impl,
    doc = "A package of one file.",
)

def _binary_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\n", is_executable = True)
    runfiles = ctx.runfiles([launcher])
    return [DefaultInfo(
        executable = launcher,
        runfiles = runfiles.merge_all([dep[DefaultInfo].default_runfiles for dep in ctx.attr.deps]),
    )]

binary = rule(
    implementation = _binary_impl,
    doc = "A binary with packages.",
    attrs = {
        "deps": attr.label_list(doc = "Packages."),
    },
    executable = True,
)

def _manifest_impl(ctx):
    layers = [layer for target in ctx.attr.layers for layer in target[LayersInfo].layers]
    facts = ctx.actions.declare_file(ctx.label.name + ".facts.json")
    ctx.actions.write(facts, json.encode([
        {
            "blob": layer.blob.path,
            "media_type": layer.media_type,
            "none": [layer.compact_stream, layer.layer_input_files, layer.layer_input_files_cas, layer.mtree, layer.ztoc],
            "rest": [layer.estargz, layer.sources],
        }
        for layer in layers
    ]))

    # What a manifest needs is in the metadata alone: no blob is an input.
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest")
    args = ctx.actions.args()
    args.add(manifest)
    args.add_all([layer.metadata for layer in layers])
    ctx.actions.run_shell(
        arguments = [args],
        command = "out=$1; shift; cat \"$@\" >\"$out\"",
        inputs = [layer.metadata for layer in layers],
        mnemonic = "Manifest",
        outputs = [manifest],
    )
    return [DefaultInfo(files = depset([facts, manifest]))]

manifest = rule(
    implementation = _manifest_impl,
    doc = "What an image knows of its layers.",
    attrs = {
        "layers": attr.label_list(
            doc = "Layers.",
            providers = [LayersInfo],
        ),
    },
)
