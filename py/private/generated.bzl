"""What a Python binary writes and has in its runfiles, without showing it among its outputs.

Current ones do that: rules_python's have a second launcher and a virtual
environment there, with a link to the interpreter. Which of its files a target
has in its runfiles nobody can tell without flattening them. So this names all
that the target's actions write, and the default layer takes what is in the
binary's runfiles when its action runs. The rest is an input in vain; most of it
is small, and what is not is left out here.
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
