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
    """The layers of a container image for one or more Python binaries.

        py_image_layer(
            name = "layers",
            binary = ":app",
            layer_tier = ":tier",
        )

    `bazel build :layers` writes the layers in the order in which they go into the
    image, those that rarely change first. The launcher is at `/app` (the tier's
    `root`), and everything else is in `/app.runfiles`. On a base image that has
    python3, the entry point is `["/app"]`.

    | Output group  | Files                                                                         |
    | ------------- | ----------------------------------------------------------------------------- |
    | (default)     | all layers                                                                    |
    | `deps`        | all layers but the default layer, also as the target `<name>_no_src`          |
    | `sources`     | the default layer, with the launcher and your sources; `<name>_only_src`      |
    | `metadata`    | a JSON file for each layer, in the same order: digest, size, diff_id          |
    | `_validation` | the log of the checker, which Bazel runs with every build of the target       |

    Args:
      name: the name of the target. The file names of its own layers begin with it.
      binary: label of a `py_binary`, or of any executable with packages in its runfiles.
      binaries: labels of several binaries, instead of `binary`. Their order does not matter.
      launcher_dir: the directory for the launchers of `binaries`.
      groups: maps the label of a target of your own to a group: a layer of this image with the target's
        outputs and `data`, but not its `deps`. Several targets may share a group. Packages belong in
        the tier.
      group_execution_requirements: maps a layer to a list of `key=value` or `key`, for the layers that
        the image itself makes: `packages` (the squashed layer), `default`, and groups of your own
        targets. For example `{"packages": ["no-remote-cache"]}`.
      group_compress_levels: maps a layer to a gzip level, for the same layers. It takes precedence over
        the tier, whose `compression` can do more.
      layer_tier: label of the `py_layer_tier` to use. It takes precedence over the flag
        `--@pylayer//py:layer_tier`.
      platform: label of the platform that the image is for. By default that of the build.
      base_layers: the number of layers of the base image, which count for the limits below.
      max_layers: the build fails if the image has more layers. Container runtimes take 127.
      warn_layer_count: the checker warns if the image has more layers.
      warn_remote_cache_threshold_mb: the build fails if all packages that are in no group together
        have more MiB than this, and the checker warns if a single one has. Sizes are uncompressed.
      tags: tags of all targets. `manual` is added.
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
