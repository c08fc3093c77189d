"""The checker: whether an image's layers are few and small enough."""

load(":actions.bzl", "MNEMONIC_CHECK", "run_worker")

# The limits of py_image_layer, each with the checker's flags for it.
_LIMITS = {
    "base_layers": ["--base-layers=%s"],
    "max_layers": ["--max-layers=%s"],
    "warn_layer_count": ["--warn-layers=%s"],
    "warn_remote_cache_threshold_mb": ["--squashed-limit-mb=%s", "--package-limit-mb=%s"],
}

def _source_argument(file):
    return ("--tree=" if file.is_directory else "--file=") + file.path

def check_image(ctx, layers, packages):
    """Makes the action that checks an image: Bazel runs it along with the build.

    Args:
      ctx: of the image.
      layers: list of PyLayerBlobInfo: all of the image. They are counted, not read.
      packages: list of PyLayerPackageInfo, sorted: those that no group holds.

    Returns:
      File: the log.
    """
    log = ctx.actions.declare_file(ctx.label.name + "_validation.log")
    args = ctx.actions.args()
    args.use_param_file("@%s", use_always = True)
    args.set_param_file_format("multiline")
    args.add("check")
    args.add(log, format = "--output=%s")
    args.add(len(layers), format = "--layers=%s")
    for attribute, flags in _LIMITS.items():
        limit = getattr(ctx.attr, attribute)
        if limit < 0:
            fail("py_image_layer %s: %s must not be negative, got %d" % (ctx.label, attribute, limit))
        for flag in flags:
            args.add(limit, format = flag)
    opened = None
    for package in packages:
        if package.name != opened:
            args.add(package.name, format = "--package=%s")
            opened = package.name
        args.add_all(package.files, expand_directories = False, map_each = _source_argument)
    run_worker(
        ctx,
        args,
        mnemonic = MNEMONIC_CHECK,
        progress_message = "Checking the layers of %s" % ctx.label,
        inputs = depset(transitive = [package.files for package in packages]),
        outputs = [log],
    )
    return log
