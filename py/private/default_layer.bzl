"""The layers that belong to one image: the squashed one and the default one."""

load(":actions.bzl", "MNEMONIC_IMAGE", "add_packages", "new_layer", "run_layer")
load(":compat.bzl", "repo_mapping_manifest")
load(":leftovers.bzl", "add_leftover_check")
load(":links.bzl", "add_runfiles_links")
load(":paths.bzl", "add_elsewhere", "add_empty_files", "add_file_at", "add_files")

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
    direct.extend(add_runfiles_links(args, roots, runfiles, packages))
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
