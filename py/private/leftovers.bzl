"""Nothing of a binary's runfiles is left out of its image without a word.

The default layer is collected, not taken from the runfiles (layer_aspect.bzl
says why). This check compares the two when the layer's action runs, where a
depset may be flattened, and adds no line and no input.
"""

_SHOWN = 5

def _leftover_lines(item):
    shipped = {file.path: None for file in item.sources.to_list()}
    packages = {}
    for package in item.packages:
        packages[package.label] = None
        shipped.update([(file.path, None) for file in package.files.to_list()])
    left = [
        file
        for file in item.runfiles.files.to_list()
        if file.path not in shipped and str(file.owner) not in packages
    ]
    if left:
        shown = ["  %s (of %s)" % (file.path, file.owner) for file in left[:_SHOWN]]
        if len(left) > _SHOWN:
            shown.append("  and %d more" % (len(left) - _SHOWN))
        fail(("py_image_layer %s: %d of the binary's runfiles would be missing from the image, " +
              "because the rule of the binary, or one below it, brings them in by an attribute that pylayer does not follow:\n%s\n" +
              "List them in `data` of the binary.") % (item.label, len(left), "\n".join(shown)))
    return []

def add_leftover_check(args, label, runfiles, sources, packages):
    """Has the action fail when a runfile is in no layer.

    Args:
      args: Args of the default layer.
      label: the image.
      runfiles: the binary's.
      sources: depset of File: what the default layer holds.
      packages: list of PyLayerPackageInfo: what other layers hold.
    """
    args.add_all(
        [struct(
            label = str(label),
            packages = packages,
            runfiles = runfiles,
            sources = sources,
        )],
        expand_directories = False,
        map_each = _leftover_lines,
    )
