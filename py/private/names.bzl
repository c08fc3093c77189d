"""What a package is called: PEP 503 names, from labels and from repository names."""

load(":compat.bzl", "last_part")

# Target names that say nothing about the package.
_GENERIC = [
    "actual_install",
    "install",
    "lib",
    "library",
    "pkg",
    "whl",
    "wheel",
]

_WILDCARDS = ["*", "?", "[", "{"]

def normalize(name):
    """A package's name as PEP 503 says: lower case, runs of `-`, `_` and `.` as one `-`.

    Args:
      name: as the author spells it.

    Returns:
      A string.
    """
    dashes = name.lower().replace("_", "-").replace(".", "-")
    return "-".join([part for part in dashes.split("-") if part])

def _package_of_whl_install(repository):
    """`...whl_install__<project>__<package>__<version>` -> package, or None."""
    if "whl_install__" not in repository:
        return None
    parts = repository.split("whl_install__")[1].split("__")
    return parts[1] if len(parts) > 1 else None

def package_of_repository(repository):
    """The package that a repository holds, by the customs of those who make them.

    | repository | package |
    |---|---|
    | `aspect_rules_py++uv+whl_install__images__colorama__0_4_6` | `colorama` |
    | `rules_python++pip+pypi_311_typing_extensions_py3_none_any_1a2b3c4d` | `typing-extensions` |
    | `pip_numpy` | `numpy` |

    Args:
      repository: a repository's name, canonical or not.

    Returns:
      A normalised name.
    """
    package = _package_of_whl_install(repository)
    if package:
        return normalize(package)
    words = last_part(repository).split("_")
    start = 1 if len(words) > 1 else 0
    for i, word in enumerate(words[:-1]):
        if len(word) >= 2 and word.isdigit() and word.startswith("3"):
            start = i + 1
            break
    kept = []
    for word in words[start:]:
        if kept and (word in ["sdist", "py2", "py3"] or word.startswith("cp3")):
            break
        kept.append(word)
    return normalize("_".join(kept))

def package_of_label(label):
    """The package at a target that has no tag with its name.

    Args:
      label: a Label.

    Returns:
      A normalised name.
    """
    repository = label.repo_name
    package = _package_of_whl_install(repository)
    if package:
        return normalize(package)
    if label.name not in _GENERIC:
        return normalize(label.name)
    if label.package:
        return normalize(label.package.split("/")[-1])
    return package_of_repository(repository) if repository else normalize(label.name)

def first_party_key(label):
    """A target of the main repository, in the one form that tiers are read into.

    Args:
      label: a Label.

    Returns:
      `//package:name`, or None for a target of another repository.
    """
    return None if label.repo_name else "//%s:%s" % (label.package, label.name)

def _parse_first_party(path):
    folder, colon, target = path.partition(":")
    name = target if colon else folder.split("/")[-1]
    if not name:
        return _key(error = "it names no target")
    for character in _WILDCARDS:
        if character in name:
            return _key(error = "only the files of a package can be chosen by a pattern, such as \"@pip//torch:torch/lib/*.so*\"; a target of the main repository is in a group as a whole")
    return _key(target = "//%s:%s" % (folder, name))

def parse_key(key):
    """Reads a key of py_layer_tier's `groups`.

    Any hub name stands for any hub: `@pip//x`, `@pypi//x:pkg`,
    `@@rules_python++pip+pypi//x` and the repositories behind a hub all mean
    the package x.

    Args:
      key: the key.

    Returns:
      A struct: `package` (normalised) or `target` (`//lib:branding`), `glob`
      (which files of the package; None: all) and `error` (why the key cannot
      be read; None: it can).
    """
    if "//" not in key or not (key.startswith("@") or key.startswith("//")):
        return _key(error = "it is neither of the form `@pip//package` nor `//folder:target`")
    repository, path = key.lstrip("@").split("//", 1)
    if not repository:
        return _parse_first_party(path)
    folder, _, target = path.partition(":")
    if folder:
        package = normalize(folder.split("/")[0])
    else:
        package = package_of_repository(repository)
    if not package:
        return _key(error = "it names no package")
    for character in _WILDCARDS + ["/"]:
        if character in target:
            return _key(package = package, glob = target)
    if target and normalize(target) != package and target not in _GENERIC:
        return _key(package = package, glob = target)
    return _key(package = package)

def _key(package = "", target = "", glob = None, error = None):
    return struct(error = error, glob = glob, package = package, target = target)
