"""Copies the interpreter that runs this into the current directory, as bin/python3 and lib/.

What an application does not need at run time stays behind: tests, development
tools, installed packages, and byte code.
"""

import pathlib
import shutil
import subprocess
import sys
import sysconfig

LEFT_OUT = [
    "__pycache__",
    "config-*",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    # The customs of this machine; on Debian a link out of the folder.
    "sitecustomize.py",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "*.a",
    "*.pyc",
]


def shared_library() -> pathlib.Path | None:
    """The libpython that the interpreter is linked with; none if it is all in one file."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return None
    linked = subprocess.run(["ldd", sys.executable], capture_output=True, check=True, text=True).stdout
    words = [word for word in linked.split() if word.startswith("/") and "/libpython" in word]
    return pathlib.Path(words[0]) if words else None


def main() -> None:
    """Copies it."""
    binary = pathlib.Path("bin/python3")
    binary.parent.mkdir()
    # In a virtual environment `sys.executable` is a link.
    shutil.copy(pathlib.Path(sys.executable).resolve(), binary)
    # Launchers of old versions of Bazel ask for `python`.
    binary.with_name("python").symlink_to(binary.name)
    library = pathlib.Path("lib", f"python{sys.version_info.major}.{sys.version_info.minor}")
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*LEFT_OUT))
    # Some systems keep what is compiled elsewhere.
    compiled = pathlib.Path(sysconfig.get_config_var("DESTSHARED"))
    shutil.copytree(compiled, library / "lib-dynload", dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shared = shared_library()
    if shared:
        shutil.copy(shared, "lib")


if __name__ == "__main__":
    main()
