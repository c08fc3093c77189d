"""Reads `groups` of py_layer_tier: what is in which group, and what cannot work."""

load(":names.bzl", "parse_key")

_GROUP_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+"

# What an image calls its own layers, in file names and in
# group_execution_requirements.
RESERVED_GROUPS = ["default", "packages", "squashed"]

def group_name_error(group):
    """Why a group cannot have a name.

    Args:
      group: the name.

    Returns:
      A string; None: it can.
    """
    if not group:
        return "a group has no name"
    if group in RESERVED_GROUPS:
        return "the group name %s is taken: every image calls a layer of its own so" % repr(group)
    for character in group.elems():
        if character not in _GROUP_NAME:
            return "the group %s becomes part of file names; use letters, digits and . _ - + only" % repr(group)
    return None

def _put(where, key, group, of, seen):
    """Notes that `of` is in a group; returns an error if it is in another one already."""
    if of in where and where[of] != group:
        return "puts %s into %s (by %s) and into %s (by %s); keep one of the two" % (
            of,
            repr(where[of]),
            repr(seen[of]),
            repr(group),
            repr(key),
        )
    where[of] = group
    seen[of] = key
    return None

def _read(groups, seen, whole, first_party, patterns):
    for key, group in groups.items():
        parsed = parse_key(key)
        error = group_name_error(group) or parsed.error
        if error:
            return "has the key %s: %s" % (repr(key), error)
        if parsed.target:
            error = _put(first_party, key, group, parsed.target, seen)
        elif parsed.glob == None:
            error = _put(whole, key, group, parsed.package, seen)
        else:
            of_package = patterns.setdefault(parsed.package, {})
            of_package.setdefault(group, {})[parsed.glob] = None
        if error:
            return error
    return None

def _split_error(whole, members, patterns):
    for package, of_package in patterns.items():
        group = whole.get(package)
        if group == None:
            continue
        if len(members[group]) > 1:
            return ("puts the package %s into the group %s together with other packages (%s), and splits it by patterns, too (%s); " +
                    "a group of several packages takes each of them whole: give %s a group of its own, or remove the patterns") % (
                package,
                repr(group),
                ", ".join([member for member in sorted(members[group]) if member != package]),
                ", ".join([repr(pattern) for of_group in of_package.values() for pattern in of_group]),
                package,
            )
        if group in of_package:
            return "puts some files of the package %s (%s) and the rest of it into the same group %s; remove the patterns" % (
                package,
                ", ".join([repr(pattern) for pattern in of_package[group]]),
                repr(group),
            )
    return None

def _kinds_error(whole, first_party, patterns, interpreter_group):
    kind_of = {interpreter_group: "the Python interpreter"} if interpreter_group else {}
    packages = [(group, "the package " + package) for package, group in whole.items()]
    packages += [(group, "files of the package " + package) for package, of_package in patterns.items() for group in of_package]
    for group, what in packages:
        if group in kind_of:
            return "puts %s into the group %s, which is that of %s; give each a group of its own" % (what, repr(group), kind_of[group])
    kind_of.update(packages)
    for target, group in first_party.items():
        if group in kind_of:
            return ("puts the first-party target %s into the group %s, which is that of %s; " +
                    "their layers are made at different places: give each a group of its own") % (target, repr(group), kind_of[group])
    return None

def read_groups(groups, interpreter_group):
    """Reads the attribute.

    Args:
      groups: dict: key -> group.
      interpreter_group: the group of the interpreter, or empty.

    Returns:
      A pair: a struct with `first_party`, `group_of`, `members` and `splits` as
      in PyLayerTierInfo, and an error; one of the two is None.
    """
    whole, first_party, patterns, members = {}, {}, {}, {}
    error = _read(groups, {}, whole, first_party, patterns)
    if error:
        return None, error
    for package, group in whole.items():
        members.setdefault(group, []).append(package)
    error = (
        _split_error(whole, members, patterns) or
        _kinds_error(whole, first_party, patterns, interpreter_group)
    )
    if error:
        return None, error
    return struct(
        first_party = first_party,
        group_of = whole,
        members = {group: sorted(packages) for group, packages in members.items()},
        splits = {
            package: [struct(group = group, patterns = sorted(of_package[group])) for group in sorted(of_package)]
            for package, of_package in patterns.items()
        },
    ), None
