"""The target that stands for the Python interpreter of a configuration.

The layer aspect depends on `//py:interpreter`, which is thus configured as the
binary is, and resolves the same Python toolchain. Its layer is declared once
and shared by every image of that configuration.
"""

load(":actions.bzl", "MNEMONIC_PACKAGE", "new_layer", "run_layer")
load(":compat.bzl", "PYTHON_TOOLCHAINS", "TOOLCHAIN_TYPE", "python_runtime")
load(":paths.bzl", "add_files", "image_roots")
load(":providers.bzl", "PyLayerInterpreterInfo", "PyLayerTierInfo")

def _py_layer_interpreter_impl(ctx):
    tier = ctx.attr._layer_tier[PyLayerTierInfo]
    runtime = python_runtime(ctx)
    layer = None
    if tier.interpreter_group and runtime:
        layer = new_layer(ctx, tier, "interpreter_layer_" + tier.interpreter_group, tier.interpreter_group)
        add_files(layer.args, image_roots(ctx, tier), runtime.files)
        layer = run_layer(
            ctx,
            layer,
            MNEMONIC_PACKAGE,
            tier.interpreter_group,
            "the Python interpreter",
            runtime.files,
        )
    return [PyLayerInterpreterInfo(
        files = runtime.files if runtime else depset(),
        layer = layer,
        path = runtime.interpreter.short_path if runtime else "",
    )]

py_layer_interpreter = rule(
    implementation = _py_layer_interpreter_impl,
    doc = "The Python interpreter, and its layer where the tier has a group for it.",
    attrs = {
        "_layer_tier": attr.label(
            default = Label("//py:layer_tier"),
            providers = [PyLayerTierInfo],
        ),
    },
    provides = [PyLayerInterpreterInfo],
    toolchains = [TOOLCHAIN_TYPE] + PYTHON_TOOLCHAINS,
)

def interpreters_once(interpreters):
    """Each interpreter once: two configurations may have the same.

    Args:
      interpreters: depset of PyLayerInterpreterInfo.

    Returns:
      List of PyLayerInterpreterInfo, sorted by path.
    """
    by_path = {}
    for interpreter in interpreters.to_list():
        by_path.setdefault(interpreter.path, interpreter)
    return [by_path[path] for path in sorted(by_path)]
