"""The target that stands for the Python interpreter of a configuration.

The layer aspect depends on `//py:interpreter`, which is thus configured as the
binary is, and resolves the same Python toolchain. Its layer is declared once
and shared by every image of that configuration.
"""

load(":actions.bzl", "MNEMONIC_PACKAGE", "new_layer", "run_layer")
load(":paths.bzl", "add_files", "image_roots")
load(":providers.bzl", "PyLayerInterpreterInfo", "PyLayerTierInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

_PYTHON_TOOLCHAIN_TYPE = "@bazel_tools//tools/python:toolchain_type"

# Kinds of rules that run the interpreter: Bazel's and rules_python's, then
# rules_py's. A target's own toolchains are seen by aspects from Bazel 8 on only.
_BINARY_KINDS = [
    "py_binary",
    "py_test",
    "_py_venv",
    "_py_venv_binary",
    "_py_venv_lib",
    "_py_venv_test",
    "py_venv_binary",
    "py_venv_exec",
    "py_venv_exec_test",
    "py_venv_test",
]

def runs_python(rule):
    """Whether a target brings the interpreter into its runfiles.

    A rule that is made from rules_python's parts has a kind of its own, and
    the attributes of a py_binary.

    Args:
      rule: an aspect's ctx.rule.

    Returns:
      A bool.
    """
    return rule.kind in _BINARY_KINDS or (hasattr(rule.attr, "main") and hasattr(rule.attr, "python_version"))

def _python_runtime(ctx):
    """The interpreter and its files where Bazel builds or fetches it; None where the image has it at a path."""
    toolchain = ctx.toolchains[_PYTHON_TOOLCHAIN_TYPE]
    runtime = getattr(toolchain, "py3_runtime", None) if toolchain else None
    if not runtime or not runtime.interpreter:
        return None
    return struct(
        files = depset([runtime.interpreter], transitive = [runtime.files] if runtime.files else []),
        interpreter = runtime.interpreter,
    )

def _py_layer_interpreter_impl(ctx):
    tier = ctx.attr._layer_tier[PyLayerTierInfo]
    runtime = _python_runtime(ctx)
    layer = None
    if tier.interpreter_group and runtime:
        layer = new_layer(ctx, tier, "interpreter_layer_" + tier.interpreter_group, tier.interpreter_group)
        add_files(layer, image_roots(ctx, tier), runtime.files)
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
    toolchains = [
        TOOLCHAIN_TYPE,
        config_common.toolchain_type(_PYTHON_TOOLCHAIN_TYPE, mandatory = False),
    ],
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
