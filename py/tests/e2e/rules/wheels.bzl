"""Wheels, installed from what an index has, or from a JSON file that lists their files."""

load("@rules_python//python:defs.bzl", "PyInfo")

def _install(ctx, tree):
    source = ctx.file.src or ctx.file.spec
    args = ctx.actions.args()
    args.add_all([source], expand_directories = False)
    args.add(tree.path)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.file._install,
        inputs = [source],
        mnemonic = "WheelInstall",
        outputs = [tree],
        use_default_shell_env = True,
    )

def _providers(ctx, tree, site_packages, shows_tree):
    path = tree.short_path[3:] if tree.short_path.startswith("../") else ctx.workspace_name + "/" + tree.short_path
    deps = [dep[PyInfo] for dep in ctx.attr.deps]
    runfiles = ctx.runfiles(files = [tree])
    for dep in ctx.attr.deps:
        runfiles = runfiles.merge(dep[DefaultInfo].default_runfiles)
    return [
        DefaultInfo(
            # rules_py shows the tree of a wheel in its output group alone.
            files = depset([tree] if shows_tree else []),
            runfiles = runfiles,
        ),
        PyInfo(
            imports = depset([path + site_packages], transitive = [dep.imports for dep in deps]),
            transitive_sources = depset(transitive = [dep.transitive_sources for dep in deps]),
        ),
    ]

_ATTRS = {
    "deps": attr.label_list(providers = [PyInfo]),
    "spec": attr.label(allow_single_file = [".json"]),
    "src": attr.label(allow_single_file = True),
    "_install": attr.label(
        allow_single_file = True,
        default = "//rules:install.py",
    ),
}

def _whl_install_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".install")
    _install(ctx, tree)
    return _providers(ctx, tree, "/lib/python3.11/site-packages", bool(ctx.file.spec)) + [OutputGroupInfo(install_dir = depset([tree]))]

# As rules_py has it.
whl_install = rule(
    implementation = _whl_install_impl,
    attrs = _ATTRS,
)

def _py_unpacked_wheel_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name)
    _install(ctx, tree)
    return _providers(ctx, tree, "/lib/python3.11/site-packages", True)

# Known by its kind.
py_unpacked_wheel = rule(
    implementation = _py_unpacked_wheel_impl,
    attrs = _ATTRS,
)

def _built_wheel_impl(ctx):
    directory = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run(
        arguments = [ctx.file.spec.path, directory.path, ctx.attr.package],
        executable = ctx.file._build,
        inputs = [ctx.file.spec],
        outputs = [directory],
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([directory]))]

# A wheel in a directory, as rules_py has it that builds one.
built_wheel = rule(
    implementation = _built_wheel_impl,
    attrs = {
        "package": attr.string(mandatory = True),
        "spec": attr.label(allow_single_file = [".json"]),
        "_build": attr.label(
            allow_single_file = True,
            default = "//rules:build_wheel.py",
        ),
    },
)
