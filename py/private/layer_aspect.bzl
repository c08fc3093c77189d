"""The aspect that finds packages, makes their own layers, and collects the rest.

**The default layer's inputs.** A binary's runfiles hold the wheels, and nothing
can be taken out of a depset without flattening it. So the default layer is not
made of the runfiles: this aspect collects, target by target, what is not in a
package.

- A package gives nothing.
- A target with no package below it gives its own runfiles, whole. Most targets
  of a build are of this sort, and nothing about their rules has to be known.
- A target with a package below it gives its own default outputs (sources,
  generated files, a launcher) and what its children gave. A `filegroup` has no
  outputs of its own: its children alone count.
- A `py_binary` or `py_test` gives the files of the interpreter, too, where that
  is one that Bazel builds or fetches.

What a rule with packages below it adds to its runfiles besides all this is
found when the default layer's action runs, and is an error that names it
(leftovers.bzl). And should a package's file come along with somebody's own
runfiles, by an edge that is not followed here, it is left out of the arguments
where another layer has it (paths.bzl). So a wheel is neither shipped twice nor
lost.
"""

load(":actions.bzl", "MNEMONIC_PACKAGE", "add_packages", "new_layer", "run_layer")
load(":compat.bzl", "PYTHON_TOOLCHAINS", "TOOLCHAIN_TYPE", "python_runtime_files")
load(":package.bzl", "package_of")
load(":paths.bzl", "image_roots")
load(":providers.bzl", "PyLayerClosureInfo", "PyLayerPackageInfo", "PyLayerTierInfo")

# Edges to what a target needs when it runs. `srcs` is one for filegroups only.
_EDGES = ["deps", "data", "actual", "venv", "resolutions"]

# Edges of which the default outputs go into the runfiles, not the runfiles alone.
_OUTPUT_EDGES = ["data", "srcs"]

def _targets_of(value):
    """The targets in an attribute's value, whatever kind of attribute it is."""
    kind = type(value)
    if kind == "Target":
        return [value]
    if kind == "list":
        return [item for item in value if type(item) == "Target"]
    if kind == "dict":
        both = list(value.keys()) + list(value.values())
        return [item for item in both if type(item) == "Target"]
    return []

def _children_of(rule):
    """Pairs of attribute and target for everything that is needed at run time."""
    edges = _EDGES + ["srcs"] if rule.kind == "filegroup" else _EDGES
    children = []
    for edge in edges:
        for child in _targets_of(getattr(rule.attr, edge, None)):
            children.append((edge, child))
    return children

def _package_closure(target, ctx, found, children):
    tier = ctx.attr._layer_tier[PyLayerTierInfo]
    group = tier.group_of.get(found.name, "")
    layer = None
    if group and len(tier.members[group]) == 1:
        layer = _package_layer(target, ctx, tier, group, found)
    package = PyLayerPackageInfo(
        files = found.files,
        group = group,
        label = str(target.label),
        layer = layer,
        name = found.name,
    )
    below = [child[PyLayerClosureInfo] for edge, child in children if PyLayerClosureInfo in child]
    needed = [
        child[PyLayerClosureInfo].sources
        for edge, child in children
        if edge == "deps" and PyLayerClosureInfo in child
    ]
    return PyLayerClosureInfo(
        opaque = False,
        packages = depset([package], transitive = [info.packages for info in below]),
        sources = depset(transitive = needed),
    )

def _package_layer(target, ctx, tier, group, package):
    layer = new_layer(ctx, tier, target.label.name + "_pip_layer", group)
    inputs = add_packages(layer.args, image_roots(ctx, tier), [package])
    return run_layer(
        ctx,
        layer,
        MNEMONIC_PACKAGE,
        group,
        package.name,
        depset(transitive = inputs),
    )

def _files_of(runfiles):
    # A file has no runfiles.
    return runfiles.files if runfiles else depset()

def _opaque_closure(target):
    return PyLayerClosureInfo(
        opaque = True,
        packages = depset(),
        sources = _files_of(target[DefaultInfo].default_runfiles),
    )

def _given_by(edge, child):
    """The depsets that a child adds to the sources of its parent."""
    info = child[PyLayerClosureInfo] if PyLayerClosureInfo in child else None
    given = [info.sources] if info else []
    if edge in _OUTPUT_EDGES and (not info or info.opaque):
        given.append(child[DefaultInfo].files)
        given.append(_files_of(child[DefaultInfo].data_runfiles))
    return given

def _open_closure(target, ctx, children):
    given = []
    packages = []
    for edge, child in children:
        given.extend(_given_by(edge, child))
        if PyLayerClosureInfo in child:
            packages.append(child[PyLayerClosureInfo].packages)
    if ctx.rule.kind != "filegroup" and not hasattr(ctx.rule.attr, "actual"):
        given.append(target[DefaultInfo].files)
        for child in _targets_of(getattr(ctx.rule.attr, "srcs", None)):
            info = child[PyLayerClosureInfo] if PyLayerClosureInfo in child else None
            if info and info.opaque:
                given.append(info.sources)
    if ctx.rule.kind in ["py_binary", "py_test"]:
        given.append(python_runtime_files(ctx))
    return PyLayerClosureInfo(
        opaque = False,
        packages = depset(transitive = packages),
        sources = depset(transitive = given),
    )

def _layer_aspect_impl(target, ctx):
    children = _children_of(ctx.rule)
    found = package_of(target, ctx.rule)
    if found:
        return [_package_closure(target, ctx, found, children)]
    for _, child in children:
        if PyLayerClosureInfo in child and child[PyLayerClosureInfo].packages:
            return [_open_closure(target, ctx, children)]
    return [_opaque_closure(target)]

layer_aspect = aspect(
    implementation = _layer_aspect_impl,
    doc = "Finds packages below a binary and makes a layer for each that is a group of its own.",
    attr_aspects = _EDGES + ["srcs"],
    attrs = {
        "_layer_tier": attr.label(
            default = Label("//py:layer_tier"),
            providers = [PyLayerTierInfo],
        ),
    },
    provides = [PyLayerClosureInfo],
    toolchains = [TOOLCHAIN_TYPE] + PYTHON_TOOLCHAINS,
)
