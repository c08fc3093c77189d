"""What differs between Bazel 7, 8, and 9.

Versions are never compared: what is there is used. Nothing is loaded from
rules_python or rules_py, so neither is a dependency.
"""

def last_part(repository):
    """The name that a module extension gave a repository.

    `rules_python++pip+pypi_311_numpy` (Bazel 8 and later) and
    `rules_python~~pip~pypi_311_numpy` (Bazel 7) both give `pypi_311_numpy`.

    Args:
      repository: a canonical repository name.

    Returns:
      A string.
    """
    return repository.replace("~", "+").split("+")[-1]

def watch_tree(rctx, directory):
    """Runs a repository rule again when a file below a directory changes; Bazel 7.0 cannot.

    Args:
      rctx: of the repository rule.
      directory: a path.
    """
    if hasattr(rctx, "watch_tree"):
        rctx.watch_tree(directory)
