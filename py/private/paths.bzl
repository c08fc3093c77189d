"""Where files lie in the image, and the argument lines that say so.

A depset is expanded when the action runs, never at analysis. Its expansion has
to know the image's root, but a `map_each` function that is a closure keeps all
that it has seen alive. So the item given to `args.add_all` is a small struct
that carries the depset together with the root, and `map_each` expands the
depset: inside these functions `to_list()` runs at execution.

What another layer holds is known by its path in the runfiles, not by its path
on this machine: the same file of another configuration has the same place.

No line begins with a user's path: a path that begins with `@` would be taken
for a file of arguments.
"""

load(":compat.bzl", "is_link", "runfiles_path")

def image_roots(ctx, tier):
    """Where the image keeps packages and the interpreter.

    Args:
      ctx: of a rule or an aspect.
      tier: PyLayerTierInfo.

    Returns:
      A struct: `root` of the tier, `runfiles`, `workspace` (the main repository
      in the runfiles), all paths in the image; and `strip_prefix`, empty.
    """
    runfiles = tier.root + ".runfiles"
    return struct(
        root = tier.root,
        runfiles = runfiles,
        strip_prefix = "",
        workspace = runfiles + "/" + ctx.workspace_name,
    )

def source_roots(ctx, tier):
    """Where the image keeps first-party files.

    Args:
      ctx: of a rule.
      tier: PyLayerTierInfo.

    Returns:
      A struct like that of image_roots.
    """
    roots = image_roots(ctx, tier)
    return struct(
        root = roots.root,
        runfiles = roots.runfiles,
        strip_prefix = tier.strip_prefix,
        workspace = roots.workspace,
    )

def is_stripped(roots, short_path):
    """Whether `strip_prefix` applies to a file.

    Only whole components count: a source `server.py` next to a binary `server`
    stays where it is.

    Args:
      roots: from source_roots.
      short_path: the file's path relative to the main repository's runfiles.

    Returns:
      A bool.
    """
    prefix = roots.strip_prefix
    return bool(prefix) and (short_path == prefix or short_path.startswith(prefix + "/"))

def runfiles_destination(roots, short_path):
    """Where a file of the runfiles lies in the image.

    Args:
      roots: from image_roots or source_roots.
      short_path: the file's path relative to the main repository's runfiles.

    Returns:
      A path in the image.
    """
    if is_stripped(roots, short_path):
        return roots.root + short_path[len(roots.strip_prefix):]
    if short_path.startswith("../"):
        return roots.runfiles + short_path[2:]
    return roots.workspace + "/" + short_path

def held(files, roots):
    """Says that a layer holds files, for layers that shall not.

    Args:
      files: depset of File.
      roots: the roots by which they are placed.

    Returns:
      A struct.
    """
    return struct(files = files, roots = roots)

def source_lines(file, destination, link = False):
    """The lines of one file or tree, and its place.

    A source may be a link here, and never is one on a remote executor: it is
    taken for the file that it leads to. A link that an
    action makes may lead to what only the image has, such as /usr/bin/python3.

    Args:
      file: File.
      destination: path in the image.
      link: whether it is known to be a link.

    Returns:
      List of strings.
    """
    lines = [("--tree=" if file.is_directory else "--file=") + file.path, "--to=" + destination]
    if link or is_link(file):
        lines.append("--links=keep")
    elif file.is_source and not file.is_directory:
        lines.append("--links=follow")
    return lines

def _file_lines(item):
    left_out = {short_path: None for short_path in item.left_out}
    for other in item.elsewhere:
        left_out.update([(file.short_path, None) for file in other.files.to_list()])
    reserved = {path: None for path in item.reserved}
    among = None
    if item.among:
        among = {file.short_path: None for file in item.among.files.to_list()}
    links = {file.short_path: None for file in item.links.to_list()}
    lines = []
    for file in item.files.to_list():
        if file.short_path in left_out or (among != None and file.short_path not in among):
            continue
        destination = runfiles_destination(item.roots, file.short_path)
        if destination in reserved:
            fail("two files for %s in the image: %s, and what the default layer has there; change strip_prefix or launcher_dir" % (destination, file.path))
        lines.extend(source_lines(file, destination, file.short_path in links))
    return lines

def add_files(layer, roots, files, left_out = [], elsewhere = [], reserved = [], among = None, links = depset()):
    """Every file at its place in the runfiles.

    Args:
      layer: from new_layer.
      roots: from image_roots or source_roots.
      files: depset of File.
      left_out: list of short paths that have other places.
      elsewhere: list from held: what other layers have.
      reserved: list of paths in the image that these files must not have.
      among: runfiles; only files that are there. None: all.
      links: depset of File: which of them are known to be links.
    """
    item = struct(
        among = among,
        elsewhere = elsewhere,
        files = files,
        left_out = left_out,
        links = links,
        reserved = reserved,
        roots = roots,
    )
    add_sources(layer, item, _file_lines)

def add_package_files(args, roots, files):
    """Every file of a package at its place in the runfiles.

    Args:
      args: Args, of which the package is open.
      roots: from image_roots.
      files: depset of File.
    """
    item = struct(
        among = None,
        elsewhere = [],
        files = files,
        left_out = [],
        links = depset(),
        reserved = [],
        roots = roots,
    )
    add_lines(args, item, _file_lines)

def _elsewhere_lines(item):
    lines = []
    for file in item.files.to_list():
        lines.append("--elsewhere=" + file.path)
        lines.append("--to=" + runfiles_destination(item.roots, file.short_path))
    return lines

def add_elsewhere(layer, other):
    """Every file as one that another layer delivers. It need not be an input.

    Args:
      layer: from new_layer.
      other: from held.
    """
    add_lines(layer.args, other, _elsewhere_lines)

def _empty_lines(item):
    lines = []
    runfiles = item.runfiles
    empty = [runfiles_path(path) for path in runfiles.empty_filenames.to_list()]

    # A launcher looks for the folder of the main repository. Where nothing is in
    # it Bazel has this file.
    main = [file.short_path for file in runfiles.files.to_list() if not file.short_path.startswith("../")]
    main = [path for path in main if path not in item.left_out]
    main += runfiles.symlinks.to_list()
    main += [path for path in empty if not path.startswith("../")]
    if not main:
        lines += ["--empty", "--to=%s/.runfile" % item.roots.workspace]
    for short_path in empty:
        lines.append("--empty")
        lines.append("--to=" + runfiles_destination(item.roots, short_path))
    return lines

def add_empty_files(layer, roots, runfiles, left_out):
    """Python's implicit `__init__.py` files, and what stands for an empty main repository.

    Args:
      layer: from new_layer.
      roots: from source_roots.
      runfiles: of the binary; asked for their names when the action runs.
      left_out: list of short paths that have other places.
    """
    add_sources(layer, struct(left_out = left_out, roots = roots, runfiles = runfiles), _empty_lines)

def add_file_at(layer, file, destination):
    """One file at a place of its own.

    Args:
      layer: from new_layer.
      file: File.
      destination: path in the image.
    """
    for args in [layer.args, layer.sources]:
        args.add(file, format = "--tree=%s" if file.is_directory else "--file=%s")
        args.add(destination, format = "--to=%s")

def add_link(layer, text, destination):
    """A symbolic link.

    Args:
      layer: from new_layer.
      text: what it says.
      destination: path in the image.
    """
    for args in [layer.args, layer.sources]:
        args.add(text, format = "--symlink=%s")
        args.add(destination, format = "--to=%s")

def relative_link(source, target):
    """The text of a symbolic link at one path of the image that leads to another.

    Args:
      source: where the link is, an absolute path in the image.
      target: where it leads, an absolute path in the image.

    Returns:
      A string.
    """
    from_parts = source.split("/")[:-1]
    to_parts = target.split("/")
    common = 0
    for a, b in zip(from_parts, to_parts[:-1]):
        if a != b:
            break
        common += 1
    return "/".join([".."] * (len(from_parts) - common) + to_parts[common:])

def add_lines(args, item, map_each):
    """The lines that a function makes of an item when the action runs.

    Args:
      args: Args.
      item: a struct.
      map_each: takes it, returns a list of strings.
    """
    args.add_all([item], expand_directories = False, map_each = map_each)

def add_sources(layer, item, map_each):
    """The lines of a layer's sources, which the checker sees, too.

    Args:
      layer: from new_layer.
      item: a struct.
      map_each: takes it, returns a list of strings.
    """
    for args in [layer.args, layer.sources]:
        add_lines(args, item, map_each)
