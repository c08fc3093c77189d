"""The layers that belong to one image: the squashed one and the default one."""

load(":actions.bzl", "MNEMONIC_IMAGE", "add_packages", "new_layer", "run_layer")
load(":compat.bzl", "repo_mapping_manifest")
load(":leftovers.bzl", "add_leftover_check")
load(":paths.bzl", "add_elsewhere", "add_empty_files", "add_file_at", "add_files", "relative_link", "runfiles_destination")

def squashed_layer(ctx, tier, roots, packages, execution_requirements):
    """All packages that are in no group.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.
      roots: from image_roots.
      packages: list of PyLayerPackageInfo, sorted.
      execution_requirements: in addition to those of every layer.

    Returns:
      PyLayerBlobInfo.
    """
    layer = new_layer(ctx, tier, ctx.label.name + "_squashed", "packages")
    inputs = add_packages(layer.args, roots, packages)
    return run_layer(
        ctx,
        layer,
        MNEMONIC_IMAGE,
        "packages",
        "%d packages" % len(packages),
        depset(transitive = inputs),
        execution_requirements,
    )

def _add_runfiles_links(args, roots, runfiles, packages):
    """Adds `symlinks` and `root_symlinks`; returns the files that they stand for.

    A link to a file of a package stays a link, since the file is in the
    package's layer; every other is a copy of its file, as in a runfiles tree.
    Binaries have few such entries or none.
    """
    inputs = []
    in_package = {package.label: None for package in packages}
    entries = [(roots.workspace, entry) for entry in runfiles.symlinks.to_list()]
    entries += [(roots.runfiles, entry) for entry in runfiles.root_symlinks.to_list()]
    for folder, entry in entries:
        destination = folder + "/" + entry.path
        file = entry.target_file
        if str(file.owner) in in_package:
            target = runfiles_destination(roots, file.short_path)
            args.add(relative_link(destination, target), format = "--symlink=%s")
            args.add(destination, format = "--to=%s")
        else:
            add_file_at(args, file, destination)
            inputs.append(file)
    return inputs

def default_layer(ctx, tier, roots, binary, sources, packages, execution_requirements):
    """The launcher, first-party sources, and everything that no other layer has.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.
      roots: from image_roots.
      binary: the target's DefaultInfo.
      sources: depset of File, as the layer aspect has collected it.
      packages: list of PyLayerPackageInfo that other layers hold.
      execution_requirements: in addition to those of every layer.

    Returns:
      PyLayerBlobInfo.
    """
    layer = new_layer(ctx, tier, ctx.label.name + "_default", "default")
    args = layer.args
    launcher = binary.files_to_run.executable
    runfiles = binary.default_runfiles
    direct = [launcher]
    add_file_at(args, launcher, roots.launcher)
    repo_mapping = repo_mapping_manifest(binary.files_to_run)
    if repo_mapping:
        add_file_at(args, repo_mapping, roots.runfiles + "/_repo_mapping")
        direct.append(repo_mapping)
    add_files(args, roots, sources, launcher, packages)
    add_empty_files(args, roots, runfiles)
    direct.extend(_add_runfiles_links(args, roots, runfiles, packages))
    for package in packages:
        add_elsewhere(args, roots, package.files)
    add_leftover_check(args, ctx.label, runfiles, depset(direct, transitive = [sources]), packages)
    return run_layer(
        ctx,
        layer,
        MNEMONIC_IMAGE,
        "default",
        "launcher and sources",
        depset(direct, transitive = [sources]),
        execution_requirements,
    )
