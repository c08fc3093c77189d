"""The `symlinks` and `root_symlinks` of a binary's runfiles.

An entry puts a file at a second place. Where the file is a package's, and thus
in another layer, the entry becomes a link to it; every other is a copy, as in a
runfiles tree. Binaries have few entries or none.
"""

load(":paths.bzl", "relative_link", "runfiles_destination")

def _link_lines(item):
    elsewhere = {}
    for package in item.packages:
        elsewhere.update([(file.path, None) for file in package.files.to_list()])
    places = [(entry, runfiles_destination(item.roots, entry.path)) for entry in item.symlinks.to_list()]
    places += [(entry, item.roots.runfiles + "/" + entry.path) for entry in item.root_symlinks.to_list()]
    lines = []
    for entry, destination in places:
        file = entry.target_file
        if file.path in elsewhere:
            target = runfiles_destination(item.roots, file.short_path)
            lines.append("--symlink=" + relative_link(destination, target))
        else:
            lines.append(("--tree=" if file.is_directory else "--file=") + file.path)
        lines.append("--to=" + destination)
    return lines

def add_runfiles_links(args, roots, runfiles, packages):
    """Every entry at its place.

    Args:
      args: Args of the default layer.
      roots: from image_roots.
      runfiles: the binary's.
      packages: list of PyLayerPackageInfo that other layers hold.

    Returns:
      List of File: the inputs. These are entries of links, not of files: their
      lists are flattened here, and no tree of a package is among the files.
    """
    args.add_all(
        [struct(
            packages = packages,
            root_symlinks = runfiles.root_symlinks,
            roots = roots,
            symlinks = runfiles.symlinks,
        )],
        expand_directories = False,
        map_each = _link_lines,
    )
    labels = {package.label: None for package in packages}
    return [
        entry.target_file
        for entry in runfiles.symlinks.to_list() + runfiles.root_symlinks.to_list()
        if str(entry.target_file.owner) not in labels
    ]
