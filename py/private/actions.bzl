"""The one place where an action is made: a call of the worker."""

load(":compression.bzl", "blob_suffix", "media_type", "takes_streams")
load(":paths.bzl", "add_package_files", "image_roots")
load(":providers.bzl", "PyLayerBlobInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")
load(":wheels.bzl", "add_wheels")

# A layer of one package, made where the package is declared, or of the interpreter.
MNEMONIC_PACKAGE = "PyImagePkgLayer"

# A layer of several packages, made at a binary.
MNEMONIC_MERGED = "PyImageMergedLayer"

# A package compressed for layers of several, made where the package is declared.
MNEMONIC_SEGMENT = "PyImageSegment"

# The squashed and the default layer and those of groups, made at an image.
MNEMONIC_IMAGE = "PyImageLayer"

# The check of an image's layers.
MNEMONIC_CHECK = "PyImageLayerValidate"

# An image of layers, as an OCI image layout.
MNEMONIC_LAYOUT = "PyImage"

# The page about an image.
MNEMONIC_REPORT = "PyImageReport"

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

def _new_archive(ctx, tier, command, output, compression):
    """Arguments that layers and segments have in common."""
    args = new_args(ctx)
    args.add(command)
    args.add(output, format = "--output=%s")
    args.add(compression, format = "--compression=%s")
    args.add(tier.owner, format = "--owner=%s")
    args.add(tier.group, format = "--group=%s")
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
      A struct for add_package, add_segments, and run_layer. `args` are the
      action's, and `sources` those that name the layer's sources, for the
      checker.
    """
    compression = compression or compression_of(tier, group)
    blob = ctx.actions.declare_file(stem + blob_suffix(compression))
    metadata = ctx.actions.declare_file(blob.basename + ".json", sibling = blob)
    args = _new_archive(ctx, tier, "layer", blob, compression)
    args.add(metadata, format = "--metadata=%s")
    args.add_all(tier.base_directories, format_each = "--base-directory=%s")
    return struct(
        args = args,
        blob = blob,
        compression = compression,
        metadata = metadata,
        sources = new_args(ctx),
    )

def compression_of(tier, group):
    """How the layer of a group is compressed.

    Args:
      tier: PyLayerTierInfo.
      group: what `compression` of the tier calls the layer.

    Returns:
      The compression as the worker writes it.
    """
    return tier.compression.get(group, tier.default_compression)

def _open_package(args, tier, name, include = [], exclude = []):
    """Opens a package; the globs say which of its files ship, besides those of the tier."""
    args.add(name, format = "--package=%s")
    args.add_all(include, format_each = "--include=%s")
    args.add_all(exclude + tier.exclude.get("*", []) + tier.exclude.get(name, []), format_each = "--exclude=%s")

def _add_package(args, tier, roots, package, compression, include = [], exclude = []):
    _open_package(args, tier, package.name, include, exclude)
    if tier.bytecode != "drop":
        args.add(tier.bytecode, format = "--bytecode=%s")
    wheels = add_wheels(args, package.wheels) if takes_streams(compression) else depset()
    add_package_files(args, roots, package.files)
    return depset(transitive = [wheels, package.files])

def _list_package(layer, tier, roots, package, include = [], exclude = []):
    _open_package(layer.sources, tier, package.name, include, exclude)
    add_package_files(layer.sources, roots, package.files)

def add_package(layer, tier, roots, package, include, exclude):
    """Opens a package and names its files.

    Args:
      layer: from new_layer.
      tier: PyLayerTierInfo.
      roots: from image_roots.
      package: a struct of `name`, `files` and `wheels`.
      include: list of globs; only files that match one. Empty: all.
      exclude: list of globs; not these.

    Returns:
      Depset of File: the inputs.
    """
    _list_package(layer, tier, roots, package, include, exclude)
    return _add_package(layer.args, tier, roots, package, layer.compression, include, exclude)

def make_segment(ctx, tier, stem, package, compression, execution_requirements = {}):
    """Makes the action that compresses a package, for layers of several.

    Args:
      ctx: of a rule or an aspect with the worker's toolchain.
      tier: PyLayerTierInfo.
      stem: the file's name without its suffix.
      package: a struct of `name`, `files` and `wheels`.
      compression: that of the layers.
      execution_requirements: in addition to those of every call.

    Returns:
      File.
    """
    segment = ctx.actions.declare_file(stem + ".segment")
    args = _new_archive(ctx, tier, "segment", segment, compression)
    run_worker(
        ctx,
        args,
        mnemonic = MNEMONIC_SEGMENT,
        progress_message = "Compressing %s for %%{label}" % package.name,
        inputs = _add_package(args, tier, image_roots(ctx, tier), package, compression),
        outputs = [segment],
        execution_requirements = execution_requirements,
    )
    return segment

def add_segments(layer, tier, roots, packages, segments):
    """Puts finished packages into a layer. None of their own files is an input.

    Args:
      layer: from new_layer.
      tier: PyLayerTierInfo.
      roots: from image_roots.
      packages: list of PyLayerPackageInfo.
      segments: list of File: from make_segment, of each package.

    Returns:
      Depset of File: the inputs.
    """
    for package in packages:
        _list_package(layer, tier, roots, package)
    layer.args.add_all(segments, format_each = "--segment=%s")
    return depset(segments)

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
    return PyLayerBlobInfo(
        blob = layer.blob,
        media_type = media_type(layer.compression),
        metadata = layer.metadata,
        name = name,
        sources = sources,
    )

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
