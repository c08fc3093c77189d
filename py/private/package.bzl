"""Which targets are pip packages.

A provider cannot be looked up without its symbol, and pylayer loads none of
rules_python or rules_py. A package is known by what every rule shows, in this
order:

1. `install_dir` among its output groups: one directory that holds
   `lib/pythonX.Y/site-packages` (rules_py, and any rule that does the same);
2. a tag `pypi_name=NAME`: its files are those of its `srcs` and `data`
   (rules_python);
3. the kind `py_unpacked_wheel`: its default outputs.

A target that has another of the same package in `actual`, `srcs`, or `deps` adds
only what the other lacks; if that is nothing, it stands for the other.
rules_python tags both `:pkg` and the `:srcs` below it, which may be in another
repository.
"""

load(":names.bzl", "normalize", "package_of_label")
load(":providers.bzl", "PyLayerClosureInfo")
load(":wheels.bzl", "wheels_of_rule")

_TAG = "pypi_name="

# Where a tagged target has its files.
_ATTRIBUTES = ["srcs", "data"]

def targets_of(value):
    """The targets in an attribute's value, whatever kind of attribute it is.

    Args:
      value: a target, a list, or a dict with targets, or lists of them, among
        its keys or its values.

    Returns:
      List of Target.
    """
    if type(value) == "Target":
        return [value]
    items = []
    if type(value) == "list":
        items = value
    elif type(value) == "dict":
        for both in value.items():
            for item in both:
                items.extend(item if type(item) == "list" else [item])
    return [item for item in items if type(item) == "Target"]

def _name_in_tags(tags):
    for tag in tags:
        if tag.startswith(_TAG):
            return normalize(tag[len(_TAG):])
    return None

def _package_at(target):
    return target[PyLayerClosureInfo].package if PyLayerClosureInfo in target else None

def _same_package(name, rule):
    """The package of this name that a target is made of."""
    for attribute in ["actual", "srcs", "deps"]:
        for child in targets_of(getattr(rule.attr, attribute, None)):
            package = _package_at(child)
            if package and package.name == name:
                return package
    return None

def _attributes_besides(rule, same):
    """The files of `srcs` and `data`, but for those of a target of the same package; None: there are no others."""
    if not same:
        return depset([file for attribute in _ATTRIBUTES for file in getattr(rule.files, attribute, [])])
    others = [
        child[DefaultInfo].files
        for attribute in _ATTRIBUTES
        for child in targets_of(getattr(rule.attr, attribute, None))
        if getattr(_package_at(child), "label", None) != same.label
    ]
    return depset(transitive = others) if others else None

def package_of(target, rule):
    """The pip package at a target.

    Args:
      target: the target that an aspect is at.
      rule: the aspect's ctx.rule.

    Returns:
      None, or a struct: `name`; `files` (depset of File) and `wheels` (list of
      File: what the package was installed from, as far as the target knows);
      `same`, the PyLayerPackageInfo that the target stands for, if it adds no
      files, else None.
    """
    tagged = _name_in_tags(getattr(rule.attr, "tags", []))
    tree = getattr(target[OutputGroupInfo], "install_dir", None) if OutputGroupInfo in target else None
    if not tree and rule.kind == "py_unpacked_wheel":
        tree = target[DefaultInfo].files
    if not tree and not tagged:
        return None
    name = tagged or package_of_label(target.label)
    same = _same_package(name, rule)
    if same:
        tree = None
    files = tree or _attributes_besides(rule, same)
    return struct(
        files = files,
        name = name,
        same = None if files else same,
        wheels = wheels_of_rule(rule),
    )

def packages_by_name(packages):
    """Sorts packages for a layer of several, or an image.

    A target can be met in more than one configuration. Its files then have the
    same places in the runfiles, of which Bazel takes one; so does this.

    Args:
      packages: depset of PyLayerPackageInfo.

    Returns:
      List of PyLayerPackageInfo, sorted by name, then label; each label once.
    """
    by_key = {}
    for package in packages.to_list():
        by_key.setdefault((package.name, package.label), package)
    return [by_key[key] for key in sorted(by_key)]
