"""Which targets are pip packages.

A provider cannot be looked up without its symbol, and pylayer loads none of
rules_python or rules_py. A package is known by what every rule shows, in this
order:

1. `install_dir` among its output groups: one directory that holds
   `lib/pythonX.Y/site-packages` (rules_py, and any rule that does the same);
2. a tag `pypi_name=NAME`: its files are those of its `srcs` and `data`, below
   `site-packages` of an external repository (rules_python);
3. the kind `py_unpacked_wheel`: its default outputs.
"""

load(":names.bzl", "normalize", "package_of_label")
load(":wheels.bzl", "wheels_of_rule")

_TAG = "pypi_name="

def _name_in_tags(tags):
    for tag in tags:
        if tag.startswith(_TAG):
            return normalize(tag[len(_TAG):])
    return None

def _files_of_attributes(rule):
    direct = []
    for attribute in ["srcs", "data"]:
        direct.extend(getattr(rule.files, attribute, []))
    return depset(direct)

def package_of(target, rule):
    """The pip package at a target.

    Args:
      target: the target that an aspect is at.
      rule: the aspect's ctx.rule.

    Returns:
      A struct with `name`, `files` (depset of File) and `wheels` (list of File:
      what the package was installed from, as far as the target knows), or None.
    """
    tagged = _name_in_tags(getattr(rule.attr, "tags", []))
    if OutputGroupInfo in target and hasattr(target[OutputGroupInfo], "install_dir"):
        return struct(
            files = target[OutputGroupInfo].install_dir,
            name = tagged or package_of_label(target.label),
            wheels = wheels_of_rule(rule),
        )
    if tagged:
        return struct(
            files = _files_of_attributes(rule),
            name = tagged,
            wheels = wheels_of_rule(rule),
        )
    if rule.kind == "py_unpacked_wheel":
        return struct(
            files = target[DefaultInfo].files,
            name = package_of_label(target.label),
            wheels = wheels_of_rule(rule),
        )
    return None

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
