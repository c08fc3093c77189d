"""Reads layers, and says what an image of them would hold."""

import gzip
import hashlib
import io
import os
import pathlib
import subprocess
import tarfile

INSTALLERS_OWN = {"direct_url.json", "uv_cache.json"}


class Layer:
    """One layer blob."""

    def __init__(self, path: pathlib.Path) -> None:
        self.name = path.name
        self.blob = path.read_bytes()
        self.digest = hashlib.sha256(self.blob).hexdigest()

    def archive(self) -> bytes:
        """The archive without its compression."""
        if self.name.endswith(".zst"):
            return subprocess.run(["zstd", "-dc"], input=self.blob, capture_output=True, check=True).stdout
        return gzip.decompress(self.blob) if self.name.endswith(".gz") else self.blob

    def members(self) -> list[tarfile.TarInfo]:
        """All entries."""
        with tarfile.open(fileobj=io.BytesIO(self.archive())) as archive:
            return archive.getmembers()

    def places(self) -> list[str]:
        """Where its files and links lie."""
        return [member.name for member in self.members() if not member.isdir()]


class Image:
    """Layers in order."""

    def __init__(self, paths: list[pathlib.Path]) -> None:
        self.layers = [Layer(path) for path in paths]

    def names(self) -> list[str]:
        """The layers' file names."""
        return [layer.name for layer in self.layers]

    def layer(self, name: str) -> Layer:
        """The layer whose file name begins so."""
        (found,) = [layer for layer in self.layers if layer.name.startswith(name)]
        return found

    def places(self) -> list[str]:
        """Where all files and links lie; a place comes twice if two layers have it."""
        return sorted(place for layer in self.layers for place in layer.places())

    def extract(self, root: pathlib.Path) -> None:
        """Applies the layers in order."""
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer.archive())) as archive:
                # The layers are our own. Python before 3.11.4 has no filters.
                archive.extraction_filter = lambda member, _path: member
                for member in archive.getmembers():
                    member.uid, member.gid = os.getuid(), os.getgid()
                    archive.extract(member, root)


def runfiles(manifest: pathlib.Path, image_folder: str) -> dict[str, bytes | None]:
    """What a binary's runfiles manifest says that an image has to hold: place -> contents.

    A link that leads somewhere in the image alone has none here. Bazel has written it, which owes nothing to the rules under test.
    """
    found: dict[str, bytes | None] = {}

    def add(path: pathlib.Path, place: str, in_tree: bool) -> None:
        if path.is_dir():
            for child in path.iterdir():
                if child.name != "__pycache__":
                    add(child, f"{place}/{child.name}", True)
        elif path.is_symlink() and not path.exists():
            found[place] = None
        elif not in_tree or not is_skipped(path):
            found[place] = path.read_bytes()

    for raw in manifest.read_bytes().split(b"\n")[:-1]:
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            # As Debian's Bazel has what is not ASCII.
            line = raw.decode("latin-1")
        place, _, path = line.removeprefix(" ").partition(" ")
        if line.startswith(" "):
            # From 7.4 on a line with a blank in a name is written so.
            for escaped, character in [("\\s", " "), ("\\n", "\n"), ("\\b", "\\")]:
                place, path = place.replace(escaped, character), path.replace(escaped, character)
        place = f"{image_folder}/{place}"
        if path.startswith("/"):
            add(pathlib.Path(path), place, False)
        else:
            # An empty file, or the text of a link that is made for the runfiles.
            found[place] = None if path else b""
    return found


def is_skipped(path: pathlib.Path) -> bool:
    """Whether a wheel's file is not shipped."""
    return path.suffix == ".whl" or (path.parent.name.endswith(".dist-info") and path.name in INSTALLERS_OWN)
