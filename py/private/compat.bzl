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

def runfiles_path(empty_filename):
    """Where an empty file is in the runfiles.

    `Runfiles.empty_filenames` of Bazel 7 has `external/numpy/__init__.py` for what is
    `../numpy/__init__.py` like the files beside it.

    Args:
      empty_filename: one of them.

    Returns:
      A string.
    """
    prefix = "external/"
    return "../" + empty_filename[len(prefix):] if empty_filename.startswith(prefix) else empty_filename

def is_link(file):
    """Whether Bazel says that a file is a link with a text of its own; before Bazel 8 it never does.

    Args:
      file: File.

    Returns:
      A bool.
    """
    return getattr(file, "is_symlink", False)

def watch_tree(rctx, directory):
    """Runs a repository rule again when a file below a directory changes; Bazel 7.0 cannot.

    Args:
      rctx: of the repository rule.
      directory: a path.
    """
    if hasattr(rctx, "watch_tree"):
        rctx.watch_tree(directory)
