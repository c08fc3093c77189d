"""py_layer_toolchain: a worker, as a toolchain."""

load(":providers.bzl", "PyLayerToolchainInfo")

# Mandatory for every rule and aspect that makes a layer.
TOOLCHAIN_TYPE = Label("//py:toolchain_type")

def flags_error(flags):
    """What is wrong with a worker's startup flags.

    Args:
      flags: list of strings.

    Returns:
      A string; None: nothing.
    """
    for flag in flags:
        if not flag.startswith("--") or "=" not in flag:
            return "flags has %s; a startup flag is of the form --flag=value, such as --cache-size=50GiB" % repr(flag)
    return None

def _py_layer_toolchain_impl(ctx):
    error = flags_error(ctx.attr.flags)
    if error:
        fail("py_layer_toolchain %s: %s" % (ctx.label, error))
    return [platform_common.ToolchainInfo(
        pylayer = PyLayerToolchainInfo(
            flags = ctx.attr.flags,
            worker = ctx.attr.worker[DefaultInfo].files_to_run,
        ),
    )]

py_layer_toolchain = rule(
    implementation = _py_layer_toolchain_impl,
    doc = """A `pylayer` executable of your own, for toolchains of type `@pylayer//py:toolchain_type`.

    py_layer_toolchain(
        name = "linux",
        worker = "//third_party/pylayer",    # such as a rust_binary
    )

    toolchain(
        name = "linux_toolchain",
        exec_compatible_with = ["@platforms//os:linux", "@platforms//cpu:x86_64"],
        toolchain = ":linux",
        toolchain_type = "@pylayer//py:toolchain_type",
    )

Register it with `register_toolchains("//:linux_toolchain")` in MODULE.bazel.
""",
    attrs = {
        "flags": attr.string_list(
            doc = "Startup flags of the worker, each of the form `--flag=value`. They are part of every action's key, so flags " +
                  "that differ between machines prevent hits in a remote cache.",
        ),
        "worker": attr.label(
            allow_files = True,
            cfg = "exec",
            doc = "The executable.",
            executable = True,
            mandatory = True,
        ),
    },
)
