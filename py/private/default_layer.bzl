"""The layers that belong to one image: the squashed one and the default one."""

load(":actions.bzl", "MNEMONIC_IMAGE", "add_segments", "make_segment", "new_layer", "run_layer")
load(":leftovers.bzl", "add_leftover_check")
load(":links.bzl", "add_runfiles_links")
load(":paths.bzl", "add_elsewhere", "add_empty_files", "add_file_at", "add_files", "add_link", "held", "relative_link", "runfiles_destination")

def squashed_layer(ctx, tier, roots, packages, settings):
    """All packages that are in no group.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.
      roots: from image_roots.
      packages: list of PyLayerPackageInfo, sorted.
      settings: from layer_settings.

    Returns:
      A pair: PyLayerBlobInfo, and list of File: the packages' segments.
    """
    layer = new_layer(ctx, tier, ctx.label.name + "_squashed", "packages", settings.compression.get("packages"))
    requirements = settings.requirements.get("packages", {})
    segments = [package.segment for package in packages]
    if "packages" in settings.compression:
        segments = [
            make_segment(ctx, tier, "%s_squashed/%d_%s" % (ctx.label.name, number, package.name), package, layer.compression, requirements)
            for number, package in enumerate(packages)
        ]
    blob = run_layer(
        ctx,
        layer,
        MNEMONIC_IMAGE,
        "packages",
        "%d packages" % len(packages),
        add_segments(layer, tier, roots, packages, segments),
        requirements,
    )
    return blob, segments

def _add_launchers(layer, roots, launchers):
    """Launchers, and what they need to find their runfiles.

    A launcher looks for a folder `<launcher>.runfiles` next to it. Where that
    is not the folder of the image, it is a link to it. One of several launchers
    may be data of another, which looks for it in the runfiles: there a link
    leads to it.
    """
    for launcher in launchers.all:
        add_file_at(layer, launcher.file, launcher.destination)
        own_runfiles = launcher.destination + ".runfiles"
        if own_runfiles != roots.runfiles:
            add_link(layer, relative_link(own_runfiles, roots.runfiles), own_runfiles)
        if launchers.several:
            place = runfiles_destination(roots, launcher.file.short_path)
            if place != launcher.destination:
                add_link(layer, relative_link(place, launcher.destination), place)
    return [launcher.file for launcher in launchers.all]

def default_layer(ctx, tier, roots, contents, settings):
    """The launcher, first-party sources, and everything that no other layer has.

    Args:
      ctx: of the image.
      tier: PyLayerTierInfo.
      roots: from source_roots.
      contents: a struct: `binary` (DefaultInfo), `sources` (depset of File, as
        the layer aspect has collected it), `generated` (likewise), `launchers` (from launchers_of),
        `links` (depset of File: those of the files that are links made for the runfiles),
        `packages` (list of PyLayerPackageInfo) and `elsewhere` (list from
        held: what other layers have).
      settings: from layer_settings.

    Returns:
      PyLayerBlobInfo.
    """
    layer = new_layer(ctx, tier, ctx.label.name + "_default", "default", settings.compression.get("default"))
    runfiles = contents.binary.default_runfiles
    direct = _add_launchers(layer, roots, contents.launchers)
    repo_mapping = contents.binary.files_to_run.repo_mapping_manifest
    if repo_mapping:
        add_file_at(layer, repo_mapping, roots.runfiles + "/_repo_mapping")
        direct.append(repo_mapping)
    placed = contents.launchers.placed
    add_files(layer, roots, contents.sources, left_out = placed, elsewhere = contents.elsewhere, links = contents.links)

    # A file that is among the sources, too, is no second one.
    sources = held(contents.sources, roots)
    add_files(layer, roots, contents.generated, left_out = placed, elsewhere = contents.elsewhere + [sources], among = runfiles, links = contents.links)
    add_empty_files(layer, roots, runfiles, placed)
    direct.extend(add_runfiles_links(layer, roots, runfiles, contents.elsewhere, contents.packages))
    for other in contents.elsewhere:
        add_elsewhere(layer, other)
    add_leftover_check(
        layer.args,
        ctx.label,
        runfiles,
        placed,
        [contents.sources, contents.generated] + [other.files for other in contents.elsewhere],
        contents.packages,
    )
    return run_layer(
        ctx,
        layer,
        MNEMONIC_IMAGE,
        "default",
        "launcher and sources",
        depset(direct, transitive = [contents.sources, contents.generated]),
        settings.requirements.get("default", {}),
    )
