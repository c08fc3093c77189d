"""py_image_layer's rule: the layers of one binary, or of several, in order."""

load(":binaries.bzl", "launchers_of")
load(":check.bzl", "check_image")
load(":default_layer.bzl", "default_layer", "squashed_layer")
load(":groups.bzl", "group_layers", "groups_of_image")
load(":interpreter.bzl", "interpreters_once")
load(":layer_aspect.bzl", "layer_aspect")
load(":merge_aspect.bzl", "merge_aspect")
load(":package.bzl", "packages_by_name")
load(":paths.bzl", "held", "image_roots", "source_roots")
load(":providers.bzl", "PyImageLayersInfo", "PyLayerBinariesInfo", "PyLayerClosureInfo", "PyLayerMergedInfo", "PyLayerTierInfo")
load(":settings.bzl", "layer_settings")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")
load(":transition.bzl", "image_transition")

def _binary_of(ctx):
    if ctx.attr.binary and ctx.attr.binaries:
        fail("py_image_layer %s: both binary and binaries are given; give one of the two" % ctx.label)
    binary = ctx.attr.binary or ctx.attr.binaries
    if not binary:
        fail("py_image_layer %s: neither binary nor binaries is given; give one of the two" % ctx.label)
    return binary

def _py_image_layer_impl(ctx):
    tier = ctx.attr._layer_tier[PyLayerTierInfo]
    settings = layer_settings(ctx, tier)
    binary = _binary_of(ctx)
    roots = image_roots(ctx, tier)
    own_roots = source_roots(ctx, tier)
    launchers = launchers_of(ctx.label, own_roots, binary, ctx.attr.launcher_dir)
    closure = binary[PyLayerClosureInfo]
    packages = packages_by_name(closure.packages)
    groups = groups_of_image(ctx, tier, closure)
    interpreters = [one for one in interpreters_once(closure.interpreters) if one.layer]

    # What is in a layer of its own is in no other. Nothing here is flattened.
    shared = [held(interpreter.files, roots) for interpreter in interpreters]
    shared += [held(package.files, roots) for package in packages]

    layers = [interpreter.layer for interpreter in interpreters]
    for package in packages:
        layers.extend(package.layers)
    layers.extend(binary[PyLayerMergedInfo].layers)
    squashed = [package for package in packages if not package.layers and not package.group]
    segments = []
    if squashed:
        layer, segments = squashed_layer(ctx, tier, roots, squashed, settings)
        layers.append(layer)
    measured = list(layers)
    reserved = [launcher.destination for launcher in launchers.all] + [roots.runfiles + "/_repo_mapping"]
    layers.extend(group_layers(ctx, tier, own_roots, groups, shared, reserved, settings))
    contents = struct(
        binary = binary[DefaultInfo],
        elsewhere = shared + [held(group.files, own_roots) for group in groups],
        generated = closure.generated,
        launchers = launchers,
        links = closure.links,
        packages = packages,
        sources = closure.sources,
    )
    sources = default_layer(ctx, tier, own_roots, contents, settings)
    deps = [layer.blob for layer in layers]
    layers.append(sources)
    log = check_image(ctx, tier, layers, measured, groups, packages, segments)
    return [
        DefaultInfo(files = depset([layer.blob for layer in layers])),
        OutputGroupInfo(
            _validation = depset([log]),
            deps = depset(deps),
            metadata = depset([layer.metadata for layer in layers]),
            sources = depset([sources.blob]),
        ),
        PyImageLayersInfo(
            launchers = {launcher.file.basename: launcher.destination for launcher in launchers.all},
            layers = layers,
        ),
    ]

py_image_layer_rule = rule(
    implementation = _py_image_layer_impl,
    doc = "Makes the layers of an image. Use the macro py_image_layer, which adds more targets.",
    attrs = {
        "base_layers": attr.int(
            doc = "How many layers the base image has: they count for the checker.",
        ),
        "binaries": attr.label(
            aspects = [layer_aspect, merge_aspect],
            doc = "The target that stands for several binaries.",
            providers = [PyLayerBinariesInfo],
        ),
        "binary": attr.label(
            aspects = [layer_aspect, merge_aspect],
            cfg = "target",
            doc = "The binary that the image runs.",
            executable = True,
        ),
        "group_compress_levels": attr.string_dict(
            doc = "Layer -> level of gzip, for layers that the image itself makes.",
        ),
        "group_execution_requirements": attr.string_list_dict(
            doc = "Layer -> list of `key=value` or `key`, for layers that the image itself makes.",
        ),
        "groups": attr.label_keyed_string_dict(
            allow_files = True,
            aspects = [layer_aspect],
            doc = "First-party target -> group: a layer of its own.",
        ),
        "launcher_dir": attr.string(
            default = "/app/bin",
            doc = "Where the launchers of several binaries go.",
        ),
        "layer_tier": attr.label(
            doc = "The py_layer_tier of this image. It beats the flag //py:layer_tier.",
            providers = [PyLayerTierInfo],
        ),
        "max_layers": attr.int(
            default = 127,
            doc = "More layers fail the check.",
        ),
        "misplaced_globs": attr.string_list(
            doc = "Keys of `groups` that are no labels.",
        ),
        "platform": attr.label(
            doc = "The platform that the image is for. Default: that of the build.",
        ),
        "warn_layer_count": attr.int(
            default = 90,
            doc = "More layers are worth a warning.",
        ),
        "warn_remote_cache_threshold_mb": attr.int(
            default = 200,
            doc = "More MiB of packages in no group fail the check; of one such package, they are worth a warning.",
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
