"""The wheels that packages were installed from, for layers that can make use of them.

Most of a wheel lies compressed in it as a gzip layer has it. The worker takes
it where it is what the package's files really hold, so a wheel is a hint: it
saves time, and never changes what a layer contains.
"""

load(":names.bzl", "normalize")
load(":paths.bzl", "add_lines")

# Where rules name the wheel that they install: rules_py's and others.
_ATTRIBUTES = ["src", "whl", "wheel"]

_SUFFIX = ".whl"

def wheels_of_rule(rule):
    """The wheels that a package's target names.

    A wheel that Bazel builds may be in a directory of its own.

    Args:
      rule: an aspect's ctx.rule.

    Returns:
      List of File.
    """
    return [
        file
        for attribute in _ATTRIBUTES
        for file in getattr(rule.files, attribute, [])
        if file.is_directory or file.basename.endswith(_SUFFIX)
    ]

def wheels_by_package(files):
    """The wheels in a tier, by the package that their file names say.

    A wheel is called `{distribution}-{version}(-{build})?-{python}-{abi}-{platform}.whl`
    (PyPA, Binary distribution format).

    Args:
      files: list of File.

    Returns:
      Dict: package -> list of File.
    """
    wheels = {}
    for file in files:
        if file.basename.endswith(_SUFFIX):
            package = normalize(file.basename.partition("-")[0])
            wheels.setdefault(package, []).append(file)
    return wheels

def known_wheels(tier, found):
    """The wheels that a package's layers are made with.

    Args:
      tier: PyLayerTierInfo.
      found: from package_of.

    Returns:
      Tuple of File: those that the target names, else those of the tier.
    """
    if not tier.use_wheels:
        return ()
    return tuple(found.wheels or tier.wheels.get(found.name, []))

def _wheel_lines(file, expander):
    files = expander.expand(file) if file.is_directory else [file]
    return ["--wheel=" + wheel.path for wheel in files if wheel.basename.endswith(_SUFFIX)]

def add_wheels(args, wheels):
    """A line for each wheel, whatever is in it.

    Args:
      args: Args, of which a package is open.
      wheels: tuple of File.

    Returns:
      Depset of File: the inputs.
    """
    for wheel in wheels:
        add_lines(args, wheel, _wheel_lines)
    return depset(wheels)
