"""py_layer_tier: how packages are grouped into layers and compressed."""

load(":compression.bzl", "parse_compression")
load(":names.bzl", "parse_key")
load(":providers.bzl", "PyLayerTierInfo")

_GROUP_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+"

def _check_group_name(label, group):
    for character in group.elems():
        if character not in _GROUP_NAME:
            fail("py_layer_tier %s: group %s becomes part of file names; use letters, digits and . _ - + only" % (label, repr(group)))
    if not group:
        fail("py_layer_tier %s: a group has no name" % label)

def _check_root(label, root):
    parts = root.split("/")
    if not root.startswith("/") or len(parts) < 2 or "" in parts[1:] or "." in parts or ".." in parts:
        fail("py_layer_tier %s: root must be an absolute path such as /app, without a slash at the end, `.` or `..`; got %s" % (label, repr(root)))

def _check_id(label, attribute, value):
    # Nine digits fit every uid_t, and every header of an archive.
    if not value.isdigit() or len(value) > 9:
        fail("py_layer_tier %s: %s must be a numeric id, got %s; names mean nothing in an image that is not known here" % (label, attribute, repr(value)))

def _read_groups(label, groups):
    """Returns package -> group and group -> packages."""
    group_of = {}
    key_of = {}
    members = {}
    for key, group in groups.items():
        _check_group_name(label, group)
        parsed = parse_key(key)
        if parsed.error:
            fail("py_layer_tier %s: groups has the key %s: %s" % (label, repr(key), parsed.error))
        if parsed.glob != None:
            fail(("py_layer_tier %s: groups has the key %s: groups of some of a package's files (%s) are not yet supported; " +
                  "put the whole package into a group with \"@pip//%s\"") % (label, repr(key), repr(parsed.glob), parsed.package))
        if parsed.package in group_of:
            if group_of[parsed.package] != group:
                fail("py_layer_tier %s: groups puts the package %s into %s (by %s) and into %s (by %s); keep one of the two" % (
                    label,
                    parsed.package,
                    repr(group_of[parsed.package]),
                    repr(key_of[parsed.package]),
                    repr(group),
                    repr(key),
                ))
            continue
        group_of[parsed.package] = group
        key_of[parsed.package] = key
        members.setdefault(group, []).append(parsed.package)
    return group_of, {group: sorted(packages) for group, packages in members.items()}

def _py_layer_tier_impl(ctx):
    label = ctx.label
    if getattr(ctx.attr, "testonly", False):
        fail("py_layer_tier %s: a tier cannot be testonly, since //py:layer_tier and every image may refer to it; remove testonly" % label)
    group_of, members = _read_groups(label, ctx.attr.groups)
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
    return [PyLayerTierInfo(
        compression = compression,
        default_compression = default_compression,
        group = ctx.attr.group,
        group_of = group_of,
        members = members,
        owner = ctx.attr.owner,
        root = ctx.attr.root,
    )]

py_layer_tier = rule(
    implementation = _py_layer_tier_impl,
    doc = """Says how pip packages are grouped into layers and how layers are compressed.

    py_layer_tier(
        name = "tier",
        groups = {
            "@pip//torch": "torch",        # a layer of its own, shared by all images
            "@pip//flask": "web",          # one layer for the three
            "@pip//jinja2": "web",
            "@pip//werkzeug": "web",
        },
        compression = {"torch": ["zstd", "3"]},
    )

Packages in no group are squashed into one layer. A tier is used by an image
that pins it (`layer_tier` of py_image_layer), or by every other image with
`--@pylayer//py:layer_tier=//path:tier`.
""",
    attrs = {
        "compression": attr.string_list_dict(
            doc = "Group -> `[algorithm, level]`: `none`, `gzip` (1 to 9) or `zstd` (1 to 22). Without a level the algorithm's usual one is taken.",
        ),
        "default_compression": attr.string_list(
            default = ["gzip", "6"],
            doc = "`[algorithm, level]` of every layer that `compression` does not name, the squashed and the default layer included.",
        ),
        "group": attr.string(
            default = "0",
            doc = "Numeric gid of every file and directory.",
        ),
        "groups": attr.string_dict(
            doc = "`@pip//package` -> group. A group of one package is made once and shared by every image that has the package; " +
                  "a group of several is made for each binary. Any hub name stands for any hub, and a package's name may be " +
                  "spelled in any way that PEP 503 holds equal.",
        ),
        "owner": attr.string(
            default = "0",
            doc = "Numeric uid of every file and directory.",
        ),
        "root": attr.string(
            default = "/app",
            doc = "Where the launcher lands in the image. The runfiles are next to it, in `<root>.runfiles`.",
        ),
    },
    provides = [PyLayerTierInfo],
)
