"""py_layer_tier: how packages are grouped into layers and compressed."""

load(":compression.bzl", "parse_compression")
load(":names.bzl", "parse_key")
load(":providers.bzl", "PyLayerTierInfo")
load(":tier_groups.bzl", "group_name_error", "read_groups")
load(":wheels.bzl", "wheels_by_package")

def _check_root(label, root):
    parts = root.split("/")
    if not root.startswith("/") or len(parts) < 2 or "" in parts[1:] or "." in parts or ".." in parts:
        fail("py_layer_tier %s: root must be an absolute path such as /app, without a slash at the end, `.` or `..`; got %s" % (label, repr(root)))

def _check_id(label, attribute, value):
    # Nine digits fit every uid_t, and every header of an archive.
    if not value.isdigit() or len(value) > 9:
        fail("py_layer_tier %s: %s must be a numeric id, got %s; names mean nothing in an image that is not known here" % (label, attribute, repr(value)))

def _read_strip_prefix(label, strip_prefix):
    # `\/` for `/` is how rules_py's documentation has it.
    prefix = strip_prefix.replace("\\/", "/")
    if not prefix:
        return ""
    parts = prefix.split("/")

    # A file of another repository has a path that begins with `../<repository>`.
    rest = parts[1:] if parts[0] == ".." and len(parts) > 1 else parts
    if "" in rest or "." in rest or ".." in rest:
        fail("py_layer_tier %s: strip_prefix must be a folder or file of the repository such as services/api, without a slash at either end, `.` or `..`; got %s" % (label, repr(strip_prefix)))
    return prefix

def _check_directories(label, directories):
    for directory in directories:
        parts = directory.split("/")
        if not directory.startswith("/") or "." in parts or ".." in parts:
            fail("py_layer_tier %s: base_directories must be absolute paths such as /opt/python, without `.` or `..`; got %s" % (label, repr(directory)))

def _read_exclude(label, exclude):
    """The attribute, with packages by their normalized names."""
    by_package = {}
    for key, patterns in exclude.items():
        parsed = parse_key(key)
        if key != "*" and (parsed.error or parsed.target or parsed.glob != None):
            fail("py_layer_tier %s: exclude has the key %s; a key is `@pip//package`, or `*` for every package, and the patterns are its value" % (label, repr(key)))
        if "" in patterns or not patterns:
            fail("py_layer_tier %s: exclude of %s has an empty pattern, or none" % (label, repr(key)))
        by_package.setdefault(parsed.package or "*", []).extend(patterns)
    return by_package

def _py_layer_tier_impl(ctx):
    label = ctx.label
    if ctx.attr.testonly:
        fail("py_layer_tier %s: a tier cannot be testonly, since //py:layer_tier and every image may refer to it; remove testonly" % label)
    if ctx.attr.interpreter_group:
        error = group_name_error(ctx.attr.interpreter_group)
        if error:
            fail("py_layer_tier %s: interpreter_group: %s" % (label, error))
    groups, error = read_groups(ctx.attr.groups, ctx.attr.interpreter_group)
    if error:
        fail("py_layer_tier %s: groups %s" % (label, error))
    compression = {}
    for group, setting in ctx.attr.compression.items():
        compression[group], error = parse_compression(setting)
        if error:
            fail("py_layer_tier %s: compression of group %s %s" % (label, repr(group), error))
    default_compression, error = parse_compression(ctx.attr.default_compression)
    if error:
        fail("py_layer_tier %s: default_compression %s" % (label, error))
    _check_root(label, ctx.attr.root)
    _check_id(label, "owner", ctx.attr.owner)
    _check_id(label, "group", ctx.attr.group)
    _check_directories(label, ctx.attr.base_directories)
    return [PyLayerTierInfo(
        base_directories = ctx.attr.base_directories,
        bytecode = ctx.attr.bytecode,
        compression = compression,
        default_compression = default_compression,
        exclude = _read_exclude(label, ctx.attr.exclude),
        first_party = groups.first_party,
        group = ctx.attr.group,
        group_of = groups.group_of,
        interpreter_group = ctx.attr.interpreter_group,
        members = groups.members,
        owner = ctx.attr.owner,
        root = ctx.attr.root,
        splits = groups.splits,
        strip_prefix = _read_strip_prefix(label, ctx.attr.strip_prefix),
        use_wheels = ctx.attr.use_wheels,
        wheels = wheels_by_package(ctx.files.wheels),
    )]

py_layer_tier = rule(
    implementation = _py_layer_tier_impl,
    doc = """How the pip packages of an image are grouped into layers, and how each layer is compressed.

    py_layer_tier(
        name = "tier",
        groups = {
            "@pip//numpy": "numpy",                          # a layer for numpy
            "@pip//torch:torch/lib/*.so*": "torch_native",   # a layer for some of torch's files, another for the rest
            "@pip//flask": "web",                            # one layer for these three
            "@pip//jinja2": "web",
            "@pip//werkzeug": "web",
            "//lib:branding": "branding",                    # a target of your own
        },
        compression = {"torch_native": ["zstd", "3"]},
        interpreter_group = "python",
    )

All packages that are in no group share one layer, the squashed layer.

An image uses the tier that its `layer_tier` names. Images without one use the
tier that the flag `--@pylayer//py:layer_tier=//path:tier` names, and an empty
tier if the flag is not set.

A tier that cannot work fails at analysis, with a message that names the entry
at fault. A tier may serve many images, so a key that one image does not have is
no error: the checker of that image lists it.
""",
    attrs = {
        "base_directories": attr.string_list(
            doc = "Directories that the base image owns, such as `/opt/python`. Layers have no entries for them or their parents, so the " +
                  "base image's owners and modes stay. There is no need to list common ones, such as `/usr`.",
        ),
        "bytecode": attr.string(
            default = "drop",
            doc = "`keep` ships the `__pycache__` directories of packages. `drop` leaves them out.",
            values = ["drop", "keep"],
        ),
        "compression": attr.string_list_dict(
            doc = """Maps a group to `[algorithm, level]`: `["none"]`, `["gzip", "1"]` to `["gzip", "9"]`, or `["zstd", "1"]` to `["zstd", "22"]`. The level may be left out.

Two keys are not groups: `packages` is the squashed layer, and `default` is the
layer with the launcher and your sources. Groups that an image declares itself
can be named, too.""",
        ),
        "default_compression": attr.string_list(
            default = ["gzip", "6"],
            doc = "`[algorithm, level]` for every layer that `compression` does not name.",
        ),
        "exclude": attr.string_list_dict(
            doc = "Maps `@pip//package`, or `*` for every package, to patterns of files to leave out of all layers, such as " +
                  "`[\"**/tests\", \"*.pyi\"]`. The patterns are those of `groups`.",
        ),
        "group": attr.string(
            default = "0",
            doc = "Numeric group ID of every file and directory.",
        ),
        "groups": attr.string_dict(
            doc = """Maps what goes into a layer to the name of a group. A key is one of:

`@pip//package`: the whole package. Any hub name works: `@pip//torch`,
`@pypi//torch`, and a label of the repository behind the hub all mean the package
torch. Names are normalized as PEP 503 says, so `Typing_Extensions` is
`typing-extensions`. A group of one package is built once and shared by every
image that has the package. A group of several is built for each binary.

`@pip//package:pattern`: the package's files that match. `*` and `?` match
within a path component, `**` matches any number of components, and `[...]` and
`{a,b}` work as in a shell. A pattern without a slash matches a file name at any
depth; one with a slash matches the path from `site-packages`. Each such group
is a layer, and so is the rest of the package; every image shares them. A file
that the patterns of two groups match goes to the group that sorts first.

`//folder:target`: a target of your own repository, with its outputs and `data`
but without its `deps`. An `alias` is not followed: name the target itself.

The names `default`, `packages`, and `squashed` are taken.""",
        ),
        "interpreter_group": attr.string(
            doc = "The group of the Python interpreter, if Bazel builds or downloads it. It gets a layer of its own, built once and " +
                  "shared by every image. By default the interpreter is in the default layer.",
        ),
        "owner": attr.string(
            default = "0",
            doc = "Numeric user ID of every file and directory.",
        ),
        "root": attr.string(
            default = "/app",
            doc = "Path of the launcher in the image. The runfiles are next to it, in `<root>.runfiles`.",
        ),
        "strip_prefix": attr.string(
            doc = "A folder of your repository. Your files below it go below `root`, without the folder's name, and not into the " +
                  "runfiles. A launcher below it does the same; any other launcher goes to `root` under its own name. " +
                  "Packages and the interpreter always stay in the runfiles.",
        ),
        "use_wheels": attr.bool(
            default = True,
            doc = "Whether gzip layers copy compressed data from the wheel that a package was installed from, which is much faster than " +
                  "compressing it again. The contents of the layer and its diff_id are the same either way; its digest is not.",
        ),
        "wheels": attr.label_list(
            allow_files = True,
            doc = """Wheels of packages whose targets do not name them, such as `@pip//numpy:whl` of rules_python.

A wheel belongs to the package in its file name. Files that are not wheels are
ignored. Targets of rules_py name their wheels themselves.""",
        ),
    },
    provides = [PyLayerTierInfo],
)
