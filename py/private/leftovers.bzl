"""Nothing of a binary's runfiles is left out of its image without a word.

The default layer is collected, not taken from the runfiles (layer_aspect.bzl
says why). This check compares the two when the layer's action runs, where a
depset may be flattened, and adds no line and no input.
"""

load(":paths.bzl", "add_lines")

_SHOWN = 5

def _leftover_lines(item):
    shipped = {short_path: None for short_path in item.placed}
    for files in item.shipped:
        shipped.update([(file.short_path, None) for file in files.to_list()])
    packages = {package.label: None for package in item.packages}
    left = [
        file
        for file in item.runfiles.files.to_list()
        if file.short_path not in shipped and str(file.owner) not in packages
    ]
    if left:
        shown = ["  %s (of %s)" % (file.path, file.owner) for file in left[:_SHOWN]]
        if len(left) > _SHOWN:
            shown.append("  and %d more" % (len(left) - _SHOWN))
        fail(("py_image_layer %s: %d of the binary's runfiles would be missing from the image, " +
              "because the rule of the binary, or one below it, brings them in by an attribute that pylayer does not follow:\n%s\n" +
              "List them in `data` of the binary.") % (item.label, len(left), "\n".join(shown)))
    return []

def add_leftover_check(args, label, runfiles, placed, shipped, packages):
    """Has the action fail when a runfile is in no layer.

    Args:
      args: Args of the default layer.
      label: the image.
      runfiles: the binary's.
      placed: list of short paths of files that have places of their own.
      shipped: list of depsets of File: what all layers hold.
      packages: list of PyLayerPackageInfo: outputs of their targets are no loss.
    """
    item = struct(
        label = str(label),
        packages = packages,
        placed = placed,
        runfiles = runfiles,
        shipped = shipped,
    )
    add_lines(args, item, _leftover_lines)
