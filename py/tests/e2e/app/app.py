"""Says which packages it has found, and runs the server."""

import os
import pathlib
import subprocess

import alpha
import beta
import gamma
import nested
import odd
import split
import unpacked

from lib import branding, pages


def main() -> None:
    """Prints one line for each."""
    print(branding.LINE, pages.PAGES)
    print(*[package.NAME for package in (alpha, beta, gamma, nested, odd, split, unpacked)])
    print(pathlib.Path(odd.__file__).with_name("é.txt").read_text().strip())
    server = pathlib.Path(os.environ["RUNFILES_DIR"], os.environ["E2E_WORKSPACE"], "app/server")
    print(subprocess.run([server], check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    main()
