"""Where files lie in the image, and the argument lines that say so.

A depset is expanded when the action runs, never at analysis. Its expansion has
to know the image's root, but a `map_each` function sees one item and nothing
else (Bazel 4 has no closures there). So the item given to `args.add_all` is a
small struct that carries the depset together with the root, and `map_each`
expands the depset: inside these functions `to_list()` runs at execution.

No line begins with a user's path: a path that begins with `@` would be taken
for a file of arguments.
"""

def image_roots(ctx, tier):
    """Where the image keeps things.

    Args:
      ctx: of a rule or an aspect.
      tier: PyLayerTierInfo.

    Returns:
      A struct: `launcher`, `runfiles` and `workspace` (the main repository in
      the runfiles), paths in the image.
    """
    runfiles = tier.root + ".runfiles"
    return struct(
        launcher = tier.root,
        runfiles = runfiles,
        workspace = runfiles + "/" + ctx.workspace_name,
    )

def runfiles_destination(roots, short_path):
    """Where a file of the runfiles lies in the image.

    Args:
      roots: from image_roots.
      short_path: the file's path relative to the main repository's runfiles.

    Returns:
      A path in the image.
    """
    if short_path.startswith("../"):
        return roots.runfiles + short_path[2:]
    return roots.workspace + "/" + short_path

def _file_lines(item):
    lines = []
    left_out = {item.launcher.path: None} if item.launcher else {}
    for package in item.elsewhere:
        left_out.update([(file.path, None) for file in package.files.to_list()])
    for file in item.files.to_list():
        if file.path in left_out:
            continue
        lines.append(("--tree=" if file.is_directory else "--file=") + file.path)
        lines.append("--to=" + runfiles_destination(item.roots, file.short_path))
    return lines

def _elsewhere_lines(item):
    lines = []
    for file in item.files.to_list():
        lines.append("--elsewhere=" + file.path)
        lines.append("--to=" + runfiles_destination(item.roots, file.short_path))
    return lines

def _empty_lines(item):
    lines = []
    for short_path in item.runfiles.empty_filenames.to_list():
        lines.append("--empty")
        lines.append("--to=" + runfiles_destination(item.roots, short_path))
    return lines

def add_files(args, roots, files, launcher = None, elsewhere = []):
    """Every file at its place in the runfiles.

    Args:
      args: Args.
      roots: from image_roots.
      files: depset of File.
      launcher: the one file that has another place.
      elsewhere: list of PyLayerPackageInfo whose files other layers have.
    """
    item = struct(elsewhere = elsewhere, files = files, launcher = launcher, roots = roots)
    _add(args, item, _file_lines)

def add_elsewhere(args, roots, files):
    """Every file as one that another layer delivers. It need not be an input.

    Args:
      args: Args.
      roots: from image_roots.
      files: depset of File.
    """
    _add(args, struct(files = files, roots = roots), _elsewhere_lines)

def add_empty_files(args, roots, runfiles):
    """Python's implicit `__init__.py` files.

    Args:
      args: Args.
      roots: from image_roots.
      runfiles: of the binary; asked for their names when the action runs.
    """
    _add(args, struct(roots = roots, runfiles = runfiles), _empty_lines)

def add_file_at(args, file, destination):
    """One file at a place of its own.

    Args:
      args: Args.
      file: File.
      destination: path in the image.
    """
    args.add(file, format = "--tree=%s" if file.is_directory else "--file=%s")
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

def _add(args, item, map_each):
    args.add_all([item], expand_directories = False, map_each = map_each)
