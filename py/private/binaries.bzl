"""Launchers: of an image with one binary, and of one with several.

Several binaries are made into one target whose runfiles are those of all. Bazel
writes the repository mapping of that target, which is the merged one; and the
aspects run on it, so that a group of several packages is one layer for all
binaries.
"""

load(":paths.bzl", "is_stripped", "runfiles_destination")
load(":providers.bzl", "PyLayerBinariesInfo")

def _label_of(target):
    return str(target.label)

def _py_image_binaries_impl(ctx):
    # Whatever the order of the list, the layers have the same bytes.
    binaries = sorted(ctx.attr.binaries, key = _label_of)
    runfiles = ctx.runfiles()
    launchers = []
    for binary in binaries:
        launcher = binary[DefaultInfo].files_to_run.executable
        if not launcher:
            fail("py_image_layer %s: binaries has %s, which is not executable" % (ctx.attr.image, binary.label))
        launchers.append(launcher)
        runfiles = runfiles.merge(binary[DefaultInfo].default_runfiles)

    # Only an executable target has a repository mapping.
    unused = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(unused, "", is_executable = True)
    return [
        DefaultInfo(
            executable = unused,
            files = depset(),
            runfiles = runfiles,
        ),
        PyLayerBinariesInfo(launchers = launchers),
    ]

py_image_binaries = rule(
    implementation = _py_image_binaries_impl,
    doc = "The binaries of an image, as one target. py_image_layer declares it; it is not run.",
    attrs = {
        "binaries": attr.label_list(
            cfg = "target",
            doc = "The binaries.",
        ),
        "image": attr.string(
            doc = "The image, for messages.",
        ),
    },
    executable = True,
)

def launchers_of(label, roots, binary, launcher_dir):
    """The launchers and where they go.

    Args:
      label: the image.
      roots: from source_roots.
      binary: the binary, or the target that stands for several.
      launcher_dir: where those of several binaries go.

    Returns:
      A struct: `all` (list of structs `file`, `destination`), `several` and
      `placed` (short paths of what has no place in the runfiles).
    """
    executable = binary[DefaultInfo].files_to_run.executable
    if PyLayerBinariesInfo not in binary:
        place = roots.root
        if is_stripped(roots, executable.short_path):
            place = runfiles_destination(roots, executable.short_path)
        elif roots.strip_prefix:
            place = roots.root + "/" + executable.basename
        return struct(
            all = [struct(destination = place, file = executable)],
            placed = [executable.short_path],
            several = False,
        )

    if not launcher_dir.startswith("/") or ".." in launcher_dir.split("/"):
        fail("py_image_layer %s: launcher_dir must be an absolute path in the image such as /app/bin, without `..`; got %s" % (label, repr(launcher_dir)))
    by_name = {}
    for launcher in binary[PyLayerBinariesInfo].launchers:
        other = by_name.setdefault(launcher.basename, launcher)
        if other.short_path != launcher.short_path:
            fail("py_image_layer %s: two binaries have the name %s: %s and %s; launchers are in one folder (%s), so their names must differ" % (
                label,
                repr(launcher.basename),
                other.owner,
                launcher.owner,
                launcher_dir,
            ))
    if not by_name:
        fail("py_image_layer %s: binaries is empty; an image needs at least one binary" % label)
    return struct(
        all = [
            struct(destination = launcher_dir.rstrip("/") + "/" + name, file = by_name[name])
            for name in sorted(by_name)
        ],
        placed = [launcher.short_path for launcher in by_name.values()] + [executable.short_path],
        several = True,
    )
