"""py_image_layer, as users call it."""

load(":binaries.bzl", "py_image_binaries")
load(":image_layer.bzl", "py_image_layer_rule")

# What the filegroups beside an image take of its attributes. An attribute that
# no rule has is an error of the image alone.
_COMMON = [
    "compatible_with",
    "deprecation",
    "features",
    "restricted_to",
    "target_compatible_with",
    "testonly",
    "visibility",
]

def common_attributes(attributes):
    """The attributes that the targets beside an image have, too.

    Args:
      attributes: dict: those of the image.

    Returns:
      A dict.
    """
    return {name: attributes[name] for name in _COMMON if name in attributes}

def _is_glob(key):
    return type(key) == "string" and ("*" in key or "?" in key)

def py_image_layer(
        name,
        binary = None,
        binaries = None,
        launcher_dir = "/app/bin",
        groups = {},
        group_execution_requirements = {},
        group_compress_levels = {},
        layer_tier = None,
        platform = None,
        base_layers = 0,
        max_layers = 127,
        warn_layer_count = 90,
        warn_remote_cache_threshold_mb = 200,
        tags = [],
        **kwargs):
    """Makes the layers of a container image for a Python binary, or for several.

    The default outputs are the layers, compressed, in the order in which they
    go into the image, seldom-changing first: the interpreter; packages with
    layers of their own, by name; groups of several packages, by name; all other
    packages, squashed into one; groups of first-party files, by name; and the
    default layer with the launcher and the sources.

    Output groups: `deps` (all layers but the default one), `sources` (the
    default layer), `metadata` (a JSON file for each layer, in the same order,
    with its digest, diff_id, size and media type), `_validation` (the checker's
    log: Bazel makes it with every build of the image).

    In the image the launcher is at `/app` (`root` of the tier), and everything
    else at its place in `/app.runfiles`. An image of these layers on a base
    that has python3 runs with the entry point `["/app"]`.

    Also made: `<name>_no_src`, the layers of the output group `deps`, and
    `<name>_only_src`, the default layer.

    Args:
      name: the target's name. The names of the image's own layers begin with it.
      binary: label of the `py_binary`, or of any other executable with packages in its runfiles.
      binaries: labels of several binaries, in place of `binary`. The order does not matter.
      launcher_dir: where the launchers of `binaries` go, each under its own name.
      groups: label of a first-party target -> name of a group. The target's outputs and data (not
        its `deps`) are a layer of their own. Several targets may be in one group. Groups of
        packages, and of some of a package's files, belong to the tier.
      group_execution_requirements: layer -> list of `key=value` or `key`, for the layers that the
        image itself makes: "packages" (the squashed one), "default", and groups of first-party
        files; for example `{"packages": ["no-remote-cache"]}`.
      group_compress_levels: layer -> level of gzip, for the same layers, in place of what the tier
        says. `compression` of the tier can do more.
      layer_tier: label of the `py_layer_tier` of this image. Default: what the flag
        `--@pylayer//py:layer_tier` says, which is an empty tier if it is not given.
      platform: label of the platform that the image is for. Default: that of the build.
      base_layers: how many layers the base image has. They count for the limits below.
      max_layers: more layers fail the check. 127 is what container runtimes take.
      warn_layer_count: more layers are worth a warning.
      warn_remote_cache_threshold_mb: more MiB of packages that are in no group, all together, fail
        the check, which then says what to put into the tier; of one such package, they are worth a
        warning. What is measured is what ships.
      tags: tags of all targets. `manual` is added: layers are built when something asks for them.
      **kwargs: attributes that every rule has, such as `visibility` and `testonly`.
    """
    tags = tags + ["manual"] if "manual" not in tags else tags
    merged = None
    if binaries != None:
        merged = name + "_binaries"
        py_image_binaries(
            name = merged,
            binaries = binaries,
            image = "//%s:%s" % (native.package_name(), name),
            tags = tags,
            testonly = kwargs.get("testonly"),
            visibility = ["//visibility:private"],
        )
    misplaced_globs = []
    if type(groups) == "dict":
        misplaced_globs = [key for key in groups if _is_glob(key)]
        groups = {key: group for key, group in groups.items() if not _is_glob(key)}
    py_image_layer_rule(
        name = name,
        base_layers = base_layers,
        binaries = merged,
        binary = binary,
        group_compress_levels = group_compress_levels,
        group_execution_requirements = group_execution_requirements,
        groups = groups,
        launcher_dir = launcher_dir,
        layer_tier = layer_tier,
        max_layers = max_layers,
        misplaced_globs = misplaced_globs,
        platform = platform,
        tags = tags,
        warn_layer_count = warn_layer_count,
        warn_remote_cache_threshold_mb = warn_remote_cache_threshold_mb,
        **kwargs
    )
    for suffix, output_group in [("_no_src", "deps"), ("_only_src", "sources")]:
        native.filegroup(
            name = name + suffix,
            srcs = [name],
            output_group = output_group,
            tags = tags,
            **common_attributes(kwargs)
        )
