"""The BUILD files of repositories with a worker, and of those that register one."""

_WORKER = """\
load("{toolchain_bzl}", "py_layer_toolchain")

package(default_visibility = ["//visibility:public"])

py_layer_toolchain(
    name = "toolchain",
    flags = {flags},
    worker = "bin/{executable}",
)

exports_files(["bin/{executable}"])
"""

_TOOLCHAIN = """\
toolchain(
    name = "{name}",
    exec_compatible_with = {constraints},
    toolchain = "@{repository}//:toolchain",
    toolchain_type = "{toolchain_type}",
)
"""

def worker_build_file(executable, flags):
    """The BUILD file of a repository with a worker.

    Args:
      executable: its name in the folder `bin`.
      flags: its startup flags.

    Returns:
      A string.
    """
    return _WORKER.format(
        executable = executable,
        flags = repr(flags),
        toolchain_bzl = str(Label("//py:toolchain.bzl")),
    )

def toolchain_entry(name, repository, os = None, cpu = None):
    """The declaration of a toolchain.

    Args:
      name: of the target.
      repository: the repository with the worker.
      os: of the machine that runs the worker, as `@platforms//os` has it; None: any.
      cpu: likewise.

    Returns:
      A string.
    """
    constraints = ["@platforms//os:" + os] if os else []
    constraints += ["@platforms//cpu:" + cpu] if cpu else []
    return _TOOLCHAIN.format(
        constraints = repr(constraints),
        name = name,
        repository = repository,
        toolchain_type = str(Label("//py:toolchain_type")),
    )
