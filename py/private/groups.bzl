"""The groups of first-party files: those of the tier, and those of an image.

Each is a layer of the image. A file that is in several goes to one of them: to
a group of the image rather than of the tier, and else to the first by name.
"""

load(":actions.bzl", "MNEMONIC_IMAGE", "new_layer", "run_layer")
load(":paths.bzl", "add_elsewhere", "add_files", "held")
load(":providers.bzl", "PyLayerClosureInfo")
load(":tier_groups.bzl", "group_name_error")

def _groups_of_tier(tier):
    groups = {group: None for group in tier.members}
    groups.update([(split.group, None) for splits in tier.splits.values() for split in splits])
    groups.update([(group, None) for group in tier.first_party.values()])
    if tier.interpreter_group:
        groups[tier.interpreter_group] = None
    return groups

def _check_rule_groups(ctx, tier):
    if ctx.attr.misplaced_globs:
        key = ctx.attr.misplaced_globs[0]
        fail(("py_image_layer %s: groups has the key %s: patterns choose files of a package, whose layers are shared by all images, so they belong to the tier: " +
              "py_layer_tier(groups = {%s: ...})") % (ctx.label, repr(key), repr(key)))
    of_tier = _groups_of_tier(tier)
    for target, group in ctx.attr.groups.items():
        error = group_name_error(group)
        if error:
            fail("py_image_layer %s: groups has %s: %s" % (ctx.label, target.label, error))
        if group in of_tier:
            fail("py_image_layer %s: the group %s (of %s) is also one of the tier %s; choose another name, or put the target into the tier's groups" % (
                ctx.label,
                repr(group),
                target.label,
                ctx.attr._layer_tier.label,
            ))
        if PyLayerClosureInfo in target and target[PyLayerClosureInfo].package:
            fail(("py_image_layer %s: groups has the pip package %s; the layers of packages are shared by all images, so they belong to the tier: " +
                  "py_layer_tier(groups = {\"@pip//<package>\": %s})") % (ctx.label, target.label, repr(group)))

def groups_of_image(ctx, tier, closure):
    """All groups of first-party files.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.
      closure: PyLayerClosureInfo of the binary.

    Returns:
      List of structs (`name`, `files`), sorted by name, those of the image
      before those of the tier.
    """
    _check_rule_groups(ctx, tier)
    of_image, of_tier = {}, {}
    for target, group in ctx.attr.groups.items():
        own = target[PyLayerClosureInfo].own if PyLayerClosureInfo in target else target[DefaultInfo].files
        of_image.setdefault(group, []).append((str(target.label), own))
    for given in closure.groups.to_list():
        of_tier.setdefault(given.group, []).append((given.label, given.files))
    return [
        struct(
            files = depset(transitive = [own for _, own in sorted(groups[name], key = _first)]),
            name = name,
        )
        for groups in [of_image, of_tier]
        for name in sorted(groups)
    ]

def _first(pair):
    return pair[0]

def group_layers(ctx, tier, roots, groups, elsewhere, reserved, settings):
    """A layer for each group.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.
      roots: from source_roots.
      groups: from groups_of_image.
      elsewhere: list from held: packages and interpreters.
      reserved: places in the image that the default layer has.
      settings: from layer_settings.

    Returns:
      List of PyLayerBlobInfo, sorted by name.
    """
    layers = {}
    for group in groups:
        layer = new_layer(ctx, tier, "%s_%s" % (ctx.label.name, group.name), group.name, settings.compression.get(group.name))
        add_files(layer, roots, group.files, elsewhere = elsewhere, reserved = reserved)
        for other in elsewhere:
            add_elsewhere(layer, other)
        layers[group.name] = run_layer(
            ctx,
            layer,
            MNEMONIC_IMAGE,
            group.name,
            "group " + group.name,
            group.files,
            settings.requirements.get(group.name, {}),
        )
        elsewhere = elsewhere + [held(group.files, roots)]
    return [layers[name] for name in sorted(layers)]
