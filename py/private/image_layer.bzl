"""py_image_layer: the layers of one binary, in order."""

load(":compat.bzl", "TOOLCHAIN_TYPE")
load(":default_layer.bzl", "default_layer", "squashed_layer")
load(":layer_aspect.bzl", "layer_aspect")
load(":merge_aspect.bzl", "merge_aspect")
load(":package.bzl", "packages_by_name")
load(":paths.bzl", "image_roots")
load(":providers.bzl", "PyLayerClosureInfo", "PyLayerMergedInfo", "PyLayerTierInfo")
load(":transition.bzl", "image_transition")

# The layers that group_execution_requirements can speak of.
_RULE_GROUPS = ["default", "packages"]

def _execution_requirements(ctx):
    """Returns group -> dict of requirements."""
    by_group = {group: {} for group in _RULE_GROUPS}
    for group, requirements in ctx.attr.group_execution_requirements.items():
        if group not in by_group:
            fail(("py_image_layer %s: group_execution_requirements has the group %s; only the layers that the image itself makes " +
                  "can have requirements of their own: \"packages\" (the squashed layer) and \"default\"") % (ctx.label, repr(group)))
        for requirement in requirements:
            key, _, value = requirement.partition("=")
            by_group[group][key] = value
    return by_group

def _py_image_layer_impl(ctx):
    tier = ctx.attr._layer_tier[PyLayerTierInfo]
    roots = image_roots(ctx, tier)
    requirements = _execution_requirements(ctx)
    closure = ctx.attr.binary[PyLayerClosureInfo]
    packages = packages_by_name(closure.packages)

    layers = [package.layer for package in packages if package.layer]
    layers.extend(ctx.attr.binary[PyLayerMergedInfo].layers)
    ungrouped = [package for package in packages if not package.group]
    if ungrouped:
        layers.append(squashed_layer(ctx, tier, roots, ungrouped, requirements["packages"]))
    sources = default_layer(
        ctx,
        tier,
        roots,
        ctx.attr.binary[DefaultInfo],
        closure.sources,
        packages,
        requirements["default"],
    )
    deps = [layer.blob for layer in layers]
    layers.append(sources)
    return [
        DefaultInfo(files = depset([layer.blob for layer in layers])),
        OutputGroupInfo(
            deps = depset(deps),
            metadata = depset([layer.metadata for layer in layers]),
            sources = depset([sources.blob]),
        ),
    ]

_py_image_layer = rule(
    implementation = _py_image_layer_impl,
    doc = "Makes the layers of one binary. Use the macro py_image_layer, which adds two more targets.",
    attrs = {
        "binary": attr.label(
            aspects = [layer_aspect, merge_aspect],
            cfg = "target",
            doc = "The binary that the image runs.",
            executable = True,
            mandatory = True,
        ),
        "group_execution_requirements": attr.string_list_dict(
            doc = "Layer -> list of `key=value` or `key`: execution requirements of \"packages\" (the squashed layer) or \"default\".",
        ),
        "layer_tier": attr.label(
            doc = "The py_layer_tier of this image. It beats the flag //py:layer_tier.",
            providers = [PyLayerTierInfo],
        ),
        "platform": attr.label(
            doc = "The platform that the image is for. Default: that of the build.",
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_layer_tier": attr.label(
            default = Label("//py:layer_tier"),
            providers = [PyLayerTierInfo],
        ),
    },
    cfg = image_transition,
    toolchains = [TOOLCHAIN_TYPE],
)

def py_image_layer(
        name,
        binary,
        layer_tier = None,
        platform = None,
        group_execution_requirements = {},
        tags = [],
        **kwargs):
    """Makes the layers of a container image for a Python binary.

    The default outputs are the layers, compressed, in the order in which they
    go into the image, seldom-changing first: packages that are a group of their
    own, by name; groups of several packages, by name; all other packages,
    squashed into one; and the default layer with the launcher and the sources.

    Output groups: `deps` (all layers but the default one), `sources` (the
    default layer), `metadata` (a JSON file for each layer, in the same order,
    with its digest, diff_id, size and media type).

    In the image the launcher is at `/app` (`root` of the tier), and everything
    else at its place in `/app.runfiles`. An image of these layers on a base
    that has python3 runs with the entry point `["/app"]`.

    Also made: `<name>_no_src`, the layers of the output group `deps`, and
    `<name>_only_src`, the default layer.

    Args:
      name: the target's name. The names of the squashed and of the default layer begin with it.
      binary: label of the `py_binary`, or of any other executable with packages in its runfiles.
      layer_tier: label of the `py_layer_tier` of this image. Default: what the flag
        `--@pylayer//py:layer_tier` says, which is an empty tier if it is not given.
      platform: label of the platform that the image is for. Default: that of the build.
      group_execution_requirements: layer -> list of `key=value` or `key`, for the layers "packages"
        (the squashed one) and "default"; for example `{"packages": ["no-remote-cache"]}`.
      tags: tags of all targets. `manual` is added: layers are built when something asks for them.
      **kwargs: attributes that every rule has, such as `visibility` and `testonly`.
    """
    tags = tags + ["manual"] if "manual" not in tags else tags
    _py_image_layer(
        name = name,
        binary = binary,
        group_execution_requirements = group_execution_requirements,
        layer_tier = layer_tier,
        platform = platform,
        tags = tags,
        **kwargs
    )
    for suffix, output_group in [("_no_src", "deps"), ("_only_src", "sources")]:
        native.filegroup(
            name = name + suffix,
            srcs = [name],
            output_group = output_group,
            tags = tags,
            **kwargs
        )
