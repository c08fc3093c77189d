"""The aspect that finds packages, makes their own layers, and collects the rest.

**The default layer's inputs.** A binary's runfiles hold the wheels, and nothing
can be taken out of a depset without flattening it. So the default layer is not
made of the runfiles: this aspect collects, target by target, what is not in a
package.

- A package gives nothing.
- A target with no package or group below it gives its own runfiles, whole, and
  its sources if the binary has them (generated.bzl). Most targets of a build are
  of this sort, and nothing about their rules has to be known.
- A target with such a thing below it gives its own default outputs (sources,
  generated files, a launcher), what else of its runfiles it has written
  (generated.bzl), and what its children gave. A `filegroup` has no outputs of
  its own: its children alone count.
- A target that the tier has in a group gives its `deps`; its own files go to
  the group.
- A binary gives the files of the interpreter, too, where that is one that Bazel
  builds or fetches and the tier has no group for it.

What a rule with packages below it adds to its runfiles besides all this is
found when the default layer's action runs, and is an error that names it
(leftovers.bzl). And should a package's file come along with somebody's own
runfiles, by an edge that is not followed here, it is left out of the arguments
where another layer has it (paths.bzl). So a wheel is neither shipped twice nor
lost.
"""

load(":generated.bzl", "generated_by", "links_of", "python_sources")
load(":interpreter.bzl", "runs_python")
load(":names.bzl", "first_party_key")
load(":package.bzl", "package_of", "targets_of")
load(":package_layers.bzl", "package_layers", "package_segment")
load(
    ":providers.bzl",
    "PyLayerClosureInfo",
    "PyLayerGroupFilesInfo",
    "PyLayerInterpreterInfo",
    "PyLayerPackageInfo",
    "PyLayerTierInfo",
)
load(":toolchain.bzl", "TOOLCHAIN_TYPE")
load(":wheels.bzl", "known_wheels")

# Edges to what a target needs when it runs.
_EDGES = ["deps", "data", "actual", "venv", "resolutions", "_runfiles_lib"]

# Edges that are such for some kinds of rules only: elsewhere `srcs` are what an
# action reads.
_EDGES_OF_KIND = {
    "filegroup": ["srcs"],
    "py_image_binaries": ["binaries"],
    "sh_binary": ["srcs"],
    "sh_library": ["srcs"],
    "sh_test": ["srcs"],
}

# Edges of which the default outputs go into the runfiles, not the runfiles alone.
_OUTPUT_EDGES = ["data", "srcs"]

def _files_of(runfiles):
    # A file has no runfiles.
    return runfiles.files if runfiles else depset()

def _closure_of(edge, child):
    """What a child brings along besides its outputs: its closure, or None."""
    if PyLayerClosureInfo not in child:
        return None
    closure = child[PyLayerClosureInfo]
    default = child[DefaultInfo]
    if edge in _OUTPUT_EDGES and not closure.package and not (
        _files_of(default.default_runfiles) or _files_of(default.data_runfiles)
    ):
        # An archive or a page, made of things that it does not need any more.
        return None
    return closure

def _children_of(rule):
    """Structs of edge, target and closure (or None) for everything needed at run time."""
    return [
        struct(
            closure = _closure_of(edge, child),
            edge = edge,
            target = child,
        )
        for edge in _EDGES + _EDGES_OF_KIND.get(rule.kind, [])
        for child in targets_of(getattr(rule.attr, edge, None))
    ]

def _below(children, ctx):
    """What all closures below a target have in common, whatever the target is."""
    closures = [child.closure for child in children if child.closure]
    interpreter = ctx.attr._interpreter[PyLayerInterpreterInfo]
    return struct(
        generated = depset(transitive = [closure.generated for closure in closures]),
        groups = depset(transitive = [closure.groups for closure in closures]),
        interpreters = depset(
            [interpreter] if interpreter.path and runs_python(ctx.rule) else [],
            transitive = [closure.interpreters for closure in closures],
        ),
        links = depset(transitive = [closure.links for closure in closures]),
        packages = depset(transitive = [closure.packages for closure in closures]),
    )

def _package_closure(target, ctx, tier, found, children, below):
    package = found.same
    if not package:
        unlayered = struct(files = found.files, name = found.name, wheels = known_wheels(tier, found))
        layers = package_layers(ctx, tier, target.label.name, unlayered)
        package = PyLayerPackageInfo(
            files = unlayered.files,
            group = tier.group_of.get(found.name, ""),
            label = str(target.label),
            layers = layers,
            name = unlayered.name,
            segment = None if layers else package_segment(ctx, tier, target.label.name, unlayered),
            wheels = unlayered.wheels,
        )
    return PyLayerClosureInfo(
        generated = below.generated,
        groups = below.groups,
        interpreters = below.interpreters,
        links = below.links,
        opaque = False,
        own = depset(),
        package = package,
        packages = depset([package], transitive = [below.packages]),
        sources = depset(transitive = [child.closure.sources for child in children if child.closure]),
    )

def _given_by(child):
    """The depsets that a child adds to the sources of its parent."""
    given = [child.closure.sources] if child.closure else []
    default = child.target[DefaultInfo]
    if child.edge in _OUTPUT_EDGES and (not child.closure or child.closure.opaque):
        given.append(default.files)
        given.append(_files_of(default.data_runfiles))
    return given

def _outputs(target, ctx):
    """The depsets that an open target itself adds."""
    given = []
    if ctx.rule.kind != "filegroup" and not hasattr(ctx.rule.attr, "actual"):
        given.append(target[DefaultInfo].files)
        for child in targets_of(getattr(ctx.rule.attr, "srcs", None)):
            info = child[PyLayerClosureInfo] if PyLayerClosureInfo in child else None
            if info and info.opaque:
                given.append(info.sources)
    if runs_python(ctx.rule):
        interpreter = ctx.attr._interpreter[PyLayerInterpreterInfo]
        if not interpreter.layer:
            given.append(interpreter.files)
    return given

def _own(target, ctx, children, opaque):
    """What a group with the target holds: its outputs and data, but not its `deps`."""
    needs = [child for child in children if child.closure and child.edge not in _OUTPUT_EDGES]
    if opaque and not needs:
        return depset(transitive = [target[DefaultInfo].files, _files_of(target[DefaultInfo].default_runfiles)])
    given = _outputs(target, ctx)
    for child in children:
        if child.edge in _OUTPUT_EDGES:
            given = given + _given_by(child)
    return depset(transitive = given)

def _closure(target, ctx, tier, children, below):
    opaque = not (below.packages or below.groups)
    own = _own(target, ctx, children, opaque)
    group = tier.first_party.get(first_party_key(target.label))
    if group:
        files = PyLayerGroupFilesInfo(files = own, group = group, label = str(target.label))
        groups = depset([files], transitive = [below.groups])
        opaque = False
        given = [child.closure.sources for child in children if child.closure and child.edge not in _OUTPUT_EDGES]
    else:
        groups = below.groups
        given = [_files_of(target[DefaultInfo].default_runfiles)]
        if not opaque:
            given = _outputs(target, ctx)
            for child in children:
                given = given + _given_by(child)
    if opaque:
        generated = python_sources(ctx.rule)
    else:
        generated = generated_by(target) if runs_python(ctx.rule) else []
    return PyLayerClosureInfo(
        generated = depset(transitive = [below.generated] + generated),
        groups = groups,
        interpreters = below.interpreters,
        links = depset(transitive = [below.links] + (links_of(target) if runs_python(ctx.rule) else [])),
        opaque = opaque,
        own = own,
        package = None,
        packages = below.packages,
        sources = depset(transitive = given),
    )

def _layer_aspect_impl(target, ctx):
    tier = ctx.attr._layer_tier[PyLayerTierInfo]
    children = _children_of(ctx.rule)
    below = _below(children, ctx)
    found = package_of(target, ctx.rule)
    if found:
        return [_package_closure(target, ctx, tier, found, children, below)]
    return [_closure(target, ctx, tier, children, below)]

layer_aspect = aspect(
    implementation = _layer_aspect_impl,
    doc = "Finds packages below a binary and makes the layers that are theirs alone.",
    attr_aspects = _EDGES + ["binaries", "srcs"],
    attrs = {
        "_interpreter": attr.label(
            default = Label("//py:interpreter"),
            providers = [PyLayerInterpreterInfo],
        ),
        "_layer_tier": attr.label(
            default = Label("//py:layer_tier"),
            providers = [PyLayerTierInfo],
        ),
    },
    provides = [PyLayerClosureInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
