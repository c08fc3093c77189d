"""The checker: whether an image's layers are few and small enough, and whether each path is in one of them."""

load(":actions.bzl", "MNEMONIC_CHECK", "new_args", "run_worker")

# The limits of py_image_layer, each with the checker's flags for it.
_LIMITS = {
    "base_layers": ["--base-layers=%s"],
    "max_layers": ["--max-layers=%s"],
    "warn_layer_count": ["--warn-layers=%s"],
    "warn_remote_cache_threshold_mb": ["--squashed-limit-mb=%s", "--package-limit-mb=%s"],
}

def _add_unused(args, tier, groups, packages, of_image):
    """Names what the tier says about things that are not in the image."""
    known = [group.name for group in groups] + of_image + [tier.interpreter_group or "default", "default", "packages"]
    known += tier.group_of.values() + tier.first_party.values()
    known += [split.group for splits in tier.splits.values() for split in splits]
    unknown = [group for group in sorted(tier.compression) if group not in known]
    if unknown:
        args.add_all(sorted({group: None for group in known}), format_each = "--known-group=%s")
        args.add_all(unknown, format_each = "--unknown-group=%s")
    names = {package.name: None for package in packages}
    named = tier.group_of.keys() + tier.splits.keys() + [name for name in tier.exclude if name != "*"]
    args.add_all(
        sorted({name: None for name in named if name not in names}),
        format_each = "--absent-package=%s",
    )

def check_image(ctx, tier, layers, measured, groups, packages, segments):
    """Makes the action that checks an image: Bazel runs it along with the build.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.
      layers: list of PyLayerBlobInfo: all of the image. None is read: what they
        hold is known from the lists of their sources.
      measured: list of PyLayerBlobInfo: those of them that do not change with a source; their
        metadata says how large they are.
      groups: from groups_of_image.
      packages: list of PyLayerPackageInfo: all of the image.
      segments: list of File: the packages that no group holds, compressed.

    Returns:
      File: the log.
    """
    log = ctx.actions.declare_file(ctx.label.name + "_validation.log")
    args = new_args(ctx)
    args.add("check")
    args.add(log, format = "--output=%s")
    args.add(len(layers), format = "--layers=%s")
    for attribute, flags in _LIMITS.items():
        limit = getattr(ctx.attr, attribute)
        if limit < 0:
            fail("py_image_layer %s: %s must not be negative, got %d" % (ctx.label, attribute, limit))
        for flag in flags:
            args.add(limit, format = flag)
    _add_unused(args, tier, groups, packages, ctx.attr.groups.values())
    inputs = []
    for layer in layers:
        args.add(layer.sources, format = "--sources=%s")
        inputs.append(layer.sources)
        if layer in measured:
            args.add(layer.metadata, format = "--metadata=%s")
            inputs.append(layer.metadata)
    args.add_all(segments, format_each = "--segment=%s")
    grouped = [package.segment for package in packages if package.group and not package.layers]
    args.add_all(grouped, format_each = "--grouped-segment=%s")
    run_worker(
        ctx,
        args,
        mnemonic = MNEMONIC_CHECK,
        progress_message = "Checking the layers of %{label}",
        inputs = depset(inputs + segments + grouped),
        outputs = [log],
    )
    return log
