"""The layers of one package, made where the package is declared.

They depend on the package and the tier alone, not on an image: every image that
has the package has the same files.
"""

load(":actions.bzl", "MNEMONIC_PACKAGE", "add_package", "compression_of", "make_segment", "new_layer", "run_layer")
load(":paths.bzl", "image_roots")

def _layer(ctx, tier, stem, group, found, what, include, exclude):
    layer = new_layer(ctx, tier, stem, group)
    inputs = add_package(layer, tier, image_roots(ctx, tier), found, include, exclude)
    return run_layer(
        ctx,
        layer,
        MNEMONIC_PACKAGE,
        group or found.name,
        what,
        inputs,
    )

def package_layers(ctx, tier, name, found):
    """The layers that the tier asks for.

    A file that patterns of several groups match is in the layer of the first
    group, by name: later groups leave out what earlier ones match, and the rest
    of the package leaves out all.

    Args:
      ctx: of the layer aspect.
      tier: PyLayerTierInfo.
      name: the target's.
      found: a struct of `name`, `files` and `wheels`.

    Returns:
      A tuple of PyLayerBlobInfo; empty: the package has no layer of its own.
    """
    group = tier.group_of.get(found.name, "")
    stem = name + "_pip_layer"
    layers = []
    earlier = []
    for split in tier.splits.get(found.name, []):
        what = "some files of " + found.name
        layers.append(_layer(ctx, tier, stem + "_" + split.group, split.group, found, what, split.patterns, earlier))
        earlier = earlier + split.patterns
    if earlier:
        layers.append(_layer(ctx, tier, stem, group, found, "the rest of " + found.name, [], earlier))
    elif group and len(tier.members[group]) == 1:
        layers.append(_layer(ctx, tier, stem, group, found, found.name, [], []))
    return tuple(layers)

def package_segment(ctx, tier, name, found):
    """The package compressed, for the layers of several packages that it is in.

    Args:
      ctx: of the layer aspect.
      tier: PyLayerTierInfo.
      name: the target's.
      found: a struct of `name`, `files` and `wheels`.

    Returns:
      File. Nothing is done for it unless a layer has it.
    """
    group = tier.group_of.get(found.name, "packages")
    return make_segment(ctx, tier, name + "_pip", found, compression_of(tier, group))
