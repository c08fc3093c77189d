"""What may be in a binary's runfiles without being in those of the target that has it.

- A Python binary writes files that are in its runfiles and not among its
  outputs: rules_python's have a second launcher and a virtual environment there,
  with a link to the interpreter.
- A library may keep its sources out of its runfiles and leave it to the binary
  to add them: rules_py's do.

Which of its files a target has in its runfiles nobody can tell without
flattening them. So this names all that may be, and the default layer takes what
is in the binary's runfiles when its action runs. The rest is an input in vain;
most of it is small, and what is not is left out here.
"""

# Bazel's own actions, which write nothing that is in the runfiles, and archives
# of all runfiles.
_NEVER_IN_RUNFILES = [
    "Middleman",
    "PackagingSourcesManifest",
    "PyBuildExecutableZip",
    "PythonZipper",
    "RepoMappingManifest",
    "RunfilesTree",
    "SourceManifest",
    "SourceSymlinkManifest",
    "SymlinkTree",
    "TestRunner",
]

def generated_by(target):
    """What may be in a target's runfiles because the target writes it.

    Args:
      target: the target that an aspect is at.

    Returns:
      List of depsets of File.
    """
    return [
        action.outputs
        for action in getattr(target, "actions", [])
        if action.mnemonic not in _NEVER_IN_RUNFILES
    ]

def links_of(target):
    """The links that a target makes for the runfiles: each has a text, and stays a link.

    Args:
      target: the target that an aspect is at.

    Returns:
      List of depsets of File.
    """
    return [
        action.outputs
        for action in getattr(target, "actions", [])
        if action.mnemonic == "UnresolvedSymlink"
    ]

def python_sources(rule):
    """The files in `srcs` of a target of Python; of any other target, the Python files there.

    Args:
      rule: an aspect's ctx.rule.

    Returns:
      List of depsets of File.
    """
    files = [
        file
        for file in getattr(rule.files, "srcs", [])
        if file.extension == "py" or rule.kind.startswith("py_")
    ]
    return [depset(files)] if files else []
