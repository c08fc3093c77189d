"""The one place where an action is made: a call of the worker."""

load(":compression.bzl", "blob_suffix", "takes_streams")
load(":paths.bzl", "add_files")
load(":providers.bzl", "PyLayerBlobInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")
load(":wheels.bzl", "add_wheels")

# A layer of one package, made where the package is declared, or of the interpreter.
MNEMONIC_PACKAGE = "PyImagePkgLayer"

# A layer of several packages, made at a binary.
MNEMONIC_MERGED = "PyImageMergedLayer"

# The squashed and the default layer and those of groups, made at an image.
MNEMONIC_IMAGE = "PyImageLayer"

# The check of an image's layers.
MNEMONIC_CHECK = "PyImageLayerValidate"

# The same for every call, as are the worker's startup flags: so one process
# serves all mnemonics.
EXECUTION_REQUIREMENTS = {
    "requires-worker-protocol": "proto",
    "supports-multiplex-sandboxing": "1",
    "supports-multiplex-workers": "1",
    "supports-worker-cancellation": "1",
    "supports-workers": "1",
    "worker-key-mnemonic": "PyLayer",
}

def new_args(ctx):
    """Arguments in a file, one a line, as they stand.

    Args:
      ctx: of a rule or an aspect.

    Returns:
      Args.
    """
    args = ctx.actions.args()
    args.use_param_file("@%s", use_always = True)
    args.set_param_file_format("multiline")
    return args

def new_layer(ctx, tier, stem, group, compression = None):
    """Begins a layer: declares its files and the arguments that all layers have.

    Args:
      ctx: of a rule or an aspect.
      tier: PyLayerTierInfo.
      stem: the blob's file name without its suffix.
      group: what `compression` of the tier calls the layer.
      compression: in place of what the tier says.

    Returns:
      A struct for add_packages and run_layer. `args` are the action's, and
      `sources` those of them that name the layer's sources, for the checker.
    """
    compression = compression or tier.compression.get(group, tier.default_compression)
    blob = ctx.actions.declare_file(stem + blob_suffix(compression))
    metadata = ctx.actions.declare_file(blob.basename + ".json", sibling = blob)
    args = new_args(ctx)
    args.add("layer")
    args.add(blob, format = "--output=%s")
    args.add(metadata, format = "--metadata=%s")
    args.add(compression, format = "--compression=%s")
    args.add(tier.owner, format = "--owner=%s")
    args.add(tier.group, format = "--group=%s")
    args.add_all(tier.base_directories, format_each = "--base-directory=%s")
    return struct(
        args = args,
        blob = blob,
        compression = compression,
        metadata = metadata,
        sources = new_args(ctx),
    )

def open_package(args, tier, name, include = [], exclude = []):
    """Opens a package, and says which of its files ship.

    Args:
      args: Args.
      tier: PyLayerTierInfo.
      name: the package.
      include: list of globs; only files that match one. Empty: all.
      exclude: list of globs, besides those of the tier; not these.
    """
    args.add(name, format = "--package=%s")
    args.add_all(include, format_each = "--include=%s")
    args.add_all(exclude + tier.exclude.get("*", []) + tier.exclude.get(name, []), format_each = "--exclude=%s")

def add_packages(layer, tier, roots, packages, include = [], exclude = []):
    """Opens each package and names its files.

    Args:
      layer: from new_layer.
      tier: PyLayerTierInfo.
      roots: from image_roots.
      packages: list of PyLayerPackageInfo, sorted; a name may come twice, from
        two targets, and is one package of the layer then.
      include: list of globs; only files that match one. Empty: all.
      exclude: list of globs; not these.

    Returns:
      List of depsets of File: the inputs.
    """
    inputs = []
    opened = None
    for package in packages:
        if package.name != opened:
            for args in [layer.args, layer.sources]:
                open_package(args, tier, package.name, include, exclude)
            if tier.bytecode != "drop":
                layer.args.add(tier.bytecode, format = "--bytecode=%s")
            opened = package.name
        if takes_streams(layer.compression):
            inputs.append(add_wheels(layer.args, package.wheels))
        add_files(layer, roots, package.files)
        inputs.append(package.files)
    return inputs

def run_layer(ctx, layer, mnemonic, name, what, inputs, execution_requirements = {}):
    """Makes the action that writes a layer.

    Args:
      ctx: of a rule or an aspect with the worker's toolchain.
      layer: from new_layer.
      mnemonic: one of those above.
      name: the package or group that the layer holds.
      what: for the progress message.
      inputs: depset of File.
      execution_requirements: in addition to those of every layer.

    Returns:
      PyLayerBlobInfo.
    """
    run_worker(
        ctx,
        layer.args,
        mnemonic = mnemonic,
        progress_message = "Layer of %s for %%{label}" % what,
        inputs = inputs,
        outputs = [layer.blob, layer.metadata],
        execution_requirements = execution_requirements,
    )
    sources = ctx.actions.declare_file(layer.blob.basename + ".sources", sibling = layer.blob)
    ctx.actions.write(sources, layer.sources)
    return PyLayerBlobInfo(blob = layer.blob, metadata = layer.metadata, name = name, sources = sources)

def run_worker(ctx, args, mnemonic, progress_message, inputs, outputs, execution_requirements = {}):
    """Makes an action of the worker.

    Args:
      ctx: of a rule or an aspect with the worker's toolchain.
      args: from new_args.
      mnemonic: one of those above.
      progress_message: what Bazel shows while it runs.
      inputs: depset of File.
      outputs: list of File.
      execution_requirements: in addition to those of every call.
    """
    toolchain = ctx.toolchains[TOOLCHAIN_TYPE].pylayer
    ctx.actions.run(
        arguments = toolchain.flags + [args],
        executable = toolchain.worker,
        execution_requirements = EXECUTION_REQUIREMENTS | execution_requirements,
        inputs = inputs,
        mnemonic = mnemonic,
        outputs = outputs,
        progress_message = progress_message,
        toolchain = TOOLCHAIN_TYPE,
    )
