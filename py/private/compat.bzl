"""Every difference between versions of Bazel, from 4.2 to 9, is in this file.

Versions are never compared: what is there is used. Nothing is loaded from
rules_python or rules_py, so that none of them is a dependency.
"""

# As a string in a form that means the same in every repository.
TOOLCHAIN_TYPE = str(Label("//py:toolchain_type"))

_PYTHON_TOOLCHAIN_TYPE = "@bazel_tools//tools/python:toolchain_type"

def _optional(toolchain_type):
    # Bazel 4 knows mandatory toolchains only, and always has one for Python.
    if hasattr(config_common, "toolchain_type"):
        return config_common.toolchain_type(toolchain_type, mandatory = False)
    return toolchain_type

PYTHON_TOOLCHAINS = [_optional(_PYTHON_TOOLCHAIN_TYPE)]

# `toolchain` of ctx.actions.run came with Bazel 7, as did this other global.
_RUN_TAKES_TOOLCHAIN = hasattr(native, "starlark_doc_extract")

def toolchain_of_action():
    """Returns keyword arguments for ctx.actions.run that name the worker's toolchain."""
    return {"toolchain": TOOLCHAIN_TYPE} if _RUN_TAKES_TOOLCHAIN else {}

def python_runtime(ctx):
    """The interpreter, where it is one that Bazel builds or fetches.

    Args:
      ctx: of a rule with PYTHON_TOOLCHAINS among its toolchains.

    Returns:
      A struct: `interpreter` (File) and `files` (depset of File, the interpreter
      included); None for an interpreter that the image has at a path.
    """
    toolchain = ctx.toolchains[_PYTHON_TOOLCHAIN_TYPE]
    runtime = getattr(toolchain, "py3_runtime", None) if toolchain else None
    if not runtime or not runtime.interpreter:
        return None
    return struct(
        files = depset([runtime.interpreter], transitive = [runtime.files] if runtime.files else []),
        interpreter = runtime.interpreter,
    )

# Kinds of rules that run the interpreter: Bazel's and rules_python's, then
# rules_py's. A target's own toolchains are seen by aspects of new Bazel only.
_BINARY_KINDS = [
    "py_binary",
    "py_test",
    "_py_venv_binary",
    "_py_venv_test",
    "py_venv_binary",
    "py_venv_exec",
    "py_venv_exec_test",
    "py_venv_test",
]

def runs_python(rule):
    """Whether a target brings the interpreter into its runfiles.

    A rule that is made from rules_python's parts has a kind of its own, and
    the attributes of a py_binary.

    Args:
      rule: an aspect's ctx.rule.

    Returns:
      A bool.
    """
    if rule.kind in _BINARY_KINDS:
        return True
    return hasattr(rule.attr, "main") and hasattr(rule.attr, "python_version")

def repo_mapping_manifest(files_to_run):
    """The binary's repository mapping (Bazel 7 and later, with modules), or None.

    Args:
      files_to_run: the binary's FilesToRunProvider.

    Returns:
      A File or None.
    """
    return getattr(files_to_run, "repo_mapping_manifest", None)

def empty_file_short_path(path):
    """The short path of one of `empty_filenames`.

    Bazel 4 calls a file of another repository `external/<repository>/...` here,
    and only here.

    Args:
      path: the name.

    Returns:
      A string: `../<repository>/...`.
    """
    return "../" + path[len("external/"):] if path.startswith("external/") else path

def absolute(label):
    """A label in a form that means the same wherever it is read.

    Bazel 4 writes a label of the main repository as `//a:b`, which the values
    of a flag and the files of another repository read as their own.

    Args:
      label: a Label.

    Returns:
      A string.
    """
    text = str(label)
    return "@" + text if text.startswith("//") else text

def repository_name(label):
    """The canonical name of a label's repository; empty for the main one.

    Args:
      label: a Label.

    Returns:
      A string without `@`.
    """
    if hasattr(label, "repo_name"):
        return label.repo_name
    return label.workspace_name

def last_part(repository):
    """What a module extension, or a WORKSPACE, called a repository.

    `rules_python++pip+pypi_311_numpy` (Bazel 8), `rules_python~~pip~pypi_311_numpy`
    (Bazel 6 and 7) and `pypi_311_numpy` (WORKSPACE) all give the last.

    Args:
      repository: a canonical repository name.

    Returns:
      A string.
    """
    return repository.replace("~", "+").split("+")[-1]

def _list_directory(directory):
    """All files below a directory, without recursion, which Starlark lacks."""
    files = []
    waiting = [directory]
    for _ in range(100000):
        if not waiting:
            break
        for entry in waiting.pop().readdir():
            if entry.is_dir:
                waiting.append(entry)
            else:
                files.append(entry)
    return files

def list_tree(rctx, directory):
    """Every file below a directory, and a watch on the directory where there are such.

    Bazel 4 to 6 cannot watch a directory, nor tell one from a file.

    Args:
      rctx: of a repository rule.
      directory: a path.

    Returns:
      List of paths as strings; empty where the directory is missing.
    """
    if not directory.exists:
        return []
    if hasattr(rctx, "watch_tree"):
        rctx.watch_tree(directory)
    if hasattr(directory, "is_dir"):
        return [str(file) for file in _list_directory(directory)]
    found = rctx.execute(["find", str(directory), "-type", "f"])
    return [line for line in found.stdout.split("\n") if line]

def host_architecture(rctx):
    """The machine's architecture as `uname -m` has it.

    Args:
      rctx: of a repository rule.

    Returns:
      A string.
    """
    arch = getattr(rctx.os, "arch", "")
    if not arch:
        arch = rctx.execute(["uname", "-m"]).stdout.strip()
    return arch
