"""What an image says of its own layers: requirements and compression by group."""

load(":compression.bzl", "parse_compression")

def _check_group(label, attribute, group, groups):
    if group not in groups:
        fail(("py_image_layer %s: %s has the group %s; only the layers that the image itself makes can have settings of their own: " +
              "\"packages\" (the squashed layer), \"default\", and groups of first-party files%s") % (
            label,
            attribute,
            repr(group),
            " (here: %s)" % ", ".join([repr(name) for name in sorted(groups)]),
        ))

def layer_settings(ctx, tier):
    """Reads group_execution_requirements and group_compress_levels.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.

    Returns:
      A struct of two dicts by group: `compression` (as the worker writes it)
      and `requirements`.
    """
    groups = {"default": None, "packages": None}
    groups.update([(group, None) for group in ctx.attr.groups.values()])
    groups.update([(group, None) for group in tier.first_party.values()])
    requirements = {}
    for group, lines in ctx.attr.group_execution_requirements.items():
        _check_group(ctx.label, "group_execution_requirements", group, groups)
        pairs = [line.partition("=") for line in lines]

        # As a tag does: `no-cache` alone is `no-cache=`.
        requirements[group] = {key: value for key, _, value in pairs}
    compression = {}
    for group, level in ctx.attr.group_compress_levels.items():
        _check_group(ctx.label, "group_compress_levels", group, groups)
        compression[group], error = parse_compression(["gzip", level])
        if error:
            fail("py_image_layer %s: group_compress_levels of group %s %s" % (ctx.label, repr(group), error))
    return struct(compression = compression, requirements = requirements)
