"""The aspect that makes, at a binary, one layer for each group of several packages."""

load(":actions.bzl", "MNEMONIC_MERGED", "add_segments", "new_layer", "run_layer")
load(":package.bzl", "packages_by_name")
load(":paths.bzl", "image_roots")
load(":providers.bzl", "PyLayerClosureInfo", "PyLayerMergedInfo", "PyLayerTierInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _merge_aspect_impl(target, ctx):
    tier = ctx.attr._layer_tier[PyLayerTierInfo]
    roots = image_roots(ctx, tier)
    groups = {}
    for package in packages_by_name(target[PyLayerClosureInfo].packages):
        if package.group and not package.layers:
            groups.setdefault(package.group, []).append(package)
    layers = []
    for group in sorted(groups):
        layer = new_layer(ctx, tier, "%s_merged_pip_layer_%s" % (target.label.name, group), group)
        inputs = add_segments(layer, tier, roots, groups[group], [package.segment for package in groups[group]])
        layers.append(run_layer(
            ctx,
            layer,
            MNEMONIC_MERGED,
            group,
            "%d packages of group %s" % (len(groups[group]), group),
            inputs,
        ))
    return [PyLayerMergedInfo(layers = layers)]

merge_aspect = aspect(
    implementation = _merge_aspect_impl,
    doc = "Makes a binary's layers of several packages, after the layer aspect has found them.",
    attr_aspects = [],
    attrs = {
        "_layer_tier": attr.label(
            default = Label("//py:layer_tier"),
            providers = [PyLayerTierInfo],
        ),
    },
    provides = [PyLayerMergedInfo],
    required_aspect_providers = [PyLayerClosureInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
