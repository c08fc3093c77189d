"""The `symlinks` and `root_symlinks` of a binary's runfiles.

An entry puts a file at a second place. Where another layer has the file, the
entry becomes a link to it; every other is a copy, as in a runfiles tree.
Binaries have few entries or none.
"""

load(":paths.bzl", "add_sources", "relative_link", "runfiles_destination", "source_lines")

def _link_lines(item):
    place_of = {}
    taken = {}
    for other in item.elsewhere:
        for file in other.files.to_list():
            place_of[file.short_path] = runfiles_destination(other.roots, file.short_path)
            taken[place_of[file.short_path]] = file
    places = [(entry, runfiles_destination(item.roots, entry.path)) for entry in item.symlinks.to_list()]
    places += [(entry, item.roots.runfiles + "/" + entry.path) for entry in item.root_symlinks.to_list()]
    lines = []
    for entry, destination in places:
        file = entry.target_file
        if destination in taken:
            if taken[destination].short_path == file.short_path:
                continue
            fail("two files for %s in the image: %s, which another layer has there, and %s, by a symlink in the binary's runfiles" % (
                destination,
                taken[destination].path,
                file.path,
            ))
        target = place_of.get(file.short_path)
        if target:
            lines.extend(["--symlink=" + relative_link(destination, target), "--to=" + destination])
        else:
            lines.extend(source_lines(file, destination))
    return lines

def add_runfiles_links(layer, roots, runfiles, elsewhere, packages):
    """Every entry at its place.

    Args:
      layer: the default layer, from new_layer.
      roots: from source_roots.
      runfiles: the binary's.
      elsewhere: list from held: what other layers have.
      packages: list of PyLayerPackageInfo.

    Returns:
      List of File: the inputs. These are entries of links, not of files: their
      lists are flattened here, and no tree of a package is among the files.
    """
    item = struct(
        elsewhere = elsewhere,
        root_symlinks = runfiles.root_symlinks,
        roots = roots,
        symlinks = runfiles.symlinks,
    )
    add_sources(layer, item, _link_lines)
    labels = {package.label: None for package in packages}
    return [
        entry.target_file
        for entry in runfiles.symlinks.to_list() + runfiles.root_symlinks.to_list()
        if str(entry.target_file.owner) not in labels
    ]
