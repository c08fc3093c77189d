"""What a package is called: PEP 503 names, from labels and from repository names."""

load(":compat.bzl", "last_part", "repository_name")

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

_GLOB_CHARACTERS = ["*", "?", "[", "{", "/"]

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
    repository = repository_name(label)
    package = _package_of_whl_install(repository)
    if package:
        return normalize(package)
    if label.name not in _GENERIC:
        return normalize(label.name)
    if label.package:
        return normalize(label.package.split("/")[-1])
    return package_of_repository(repository) if repository else normalize(label.name)

def parse_key(key):
    """Reads a key of py_layer_tier's `groups`.

    Any hub name stands for any hub: `@pip//x`, `@pypi//x:pkg`,
    `@@rules_python++pip+pypi//x` and the repositories behind a hub all mean
    the package x.

    Args:
      key: the key.

    Returns:
      A struct: `package` (normalised), `glob` (which files of it; None: all)
      and `error` (why the key cannot be read; None: it can).
    """
    if not key.startswith("@") or "//" not in key:
        return _key(error = "it is not of the form `@pip//package`")
    repository, path = key.lstrip("@").split("//", 1)
    if not repository:
        return _key(error = "it names a target of the main repository, not a package of a hub such as `@pip`")
    folder, _, target = path.partition(":")
    if folder:
        package = normalize(folder.split("/")[0])
    else:
        package = package_of_repository(repository)
    if not package:
        return _key(error = "it names no package")
    if target and normalize(target) != package and target not in _GENERIC:
        return _key(package = package, glob = target)
    for character in _GLOB_CHARACTERS:
        if character in target:
            return _key(package = package, glob = target)
    return _key(package = package)

def _key(package = "", glob = None, error = None):
    return struct(package = package, glob = glob, error = error)
