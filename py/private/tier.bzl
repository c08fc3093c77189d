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
    doc = """Says how pip packages are grouped into layers and how layers are compressed.

    py_layer_tier(
        name = "tier",
        groups = {
            "@pip//numpy": "numpy",                          # a layer of its own
            "@pip//torch:torch/lib/*.so*": "torch_native",   # some files of a package; the rest is a layer, too
            "@pip//flask": "web",                            # one layer for the three
            "@pip//jinja2": "web",
            "@pip//werkzeug": "web",
            "//lib:branding": "branding",                    # a target of the main repository
        },
        compression = {"torch_native": ["zstd", "3"]},
        interpreter_group = "python",
    )

Packages in no group are squashed into one layer. A tier is used by an image
that pins it (`layer_tier` of py_image_layer), or by every other image with
`--@pylayer//py:layer_tier=//path:tier`.
""",
    attrs = {
        "base_directories": attr.string_list(
            doc = "Directories that the base image owns, such as `/opt/python`: layers have no entries for them and what is above " +
                  "them, so their owners and modes stay. What most base images have, such as `/usr`, need not be named.",
        ),
        "bytecode": attr.string(
            default = "drop",
            doc = "`keep` ships the `__pycache__` directories that packages' trees have; `drop` leaves them out.",
            values = ["drop", "keep"],
        ),
        "compression": attr.string_list_dict(
            doc = "Group -> `[algorithm, level]`: `none`, `gzip` (1 to 9) or `zstd` (1 to 22). Without a level the algorithm's usual one is taken.",
        ),
        "default_compression": attr.string_list(
            default = ["gzip", "6"],
            doc = "`[algorithm, level]` of every layer that `compression` does not name, the squashed and the default layer included.",
        ),
        "exclude": attr.string_list_dict(
            doc = "`@pip//package`, or `*` for every package -> patterns, as in `groups`: files that no layer has, such as tests.",
        ),
        "group": attr.string(
            default = "0",
            doc = "Numeric gid of every file and directory.",
        ),
        "groups": attr.string_dict(
            doc = """What -> group.

`@pip//package` is a whole package. A group of one package is made once and
shared by every image that has the package; a group of several is made for each
binary. Any hub name stands for any hub, and a package's name may be spelled in
any way that PEP 503 holds equal.

`@pip//package:pattern` is the files of a package that match the pattern: `*`
and `?` within a path component, `**` for any number of components, `[...]`
and `{a,b}`. A pattern without a slash matches a file's name at any depth; one
with a slash matches the path from `site-packages`. Each such group, and the
rest of the package, is a layer that every image shares. A file that patterns of
two groups match is in the first one, by name.

`//folder:target` is a target of the main repository with its data, but not its
`deps`: a layer of each image.""",
        ),
        "interpreter_group": attr.string(
            doc = "The group of the Python interpreter, where it is one that Bazel builds or fetches: a layer of its own, " +
                  "made once and shared by every image. Empty: the interpreter is in the default layer.",
        ),
        "owner": attr.string(
            default = "0",
            doc = "Numeric uid of every file and directory.",
        ),
        "root": attr.string(
            default = "/app",
            doc = "Where the launcher lands in the image. The runfiles are next to it, in `<root>.runfiles`.",
        ),
        "strip_prefix": attr.string(
            doc = "A folder: first-party files below it land below `root`, the folder's name taken off, instead of in the runfiles. " +
                  "The launcher does the same if it is below the folder, and else is in `root` under its own name. " +
                  "Packages and the interpreter stay in the runfiles.",
        ),
        "use_wheels": attr.bool(
            default = True,
            doc = "Whether gzip layers take what lies compressed in the wheel that a package was installed from, where that is known, " +
                  "in place of compressing it again. What a layer contains is the same either way, its digest is not.",
        ),
        "wheels": attr.label_list(
            allow_files = True,
            doc = """Wheels of packages whose targets do not name theirs.

rules_python's do not: its hub has the list, as `all_whl_requirements` in
`@pip//:requirements.bzl`. A wheel belongs to the package that its file name
says. What is no wheel is ignored.""",
        ),
    },
    provides = [PyLayerTierInfo],
)
