"""py_layer_toolchain: a worker, as a toolchain."""

load(":providers.bzl", "PyLayerToolchainInfo")

def _py_layer_toolchain_impl(ctx):
    return [platform_common.ToolchainInfo(
        pylayer = PyLayerToolchainInfo(
            worker = ctx.attr.worker[DefaultInfo].files_to_run,
        ),
    )]

py_layer_toolchain = rule(
    implementation = _py_layer_toolchain_impl,
    doc = """A `pylayer` executable for toolchains of type `@pylayer//py:toolchain_type`.

    py_layer_toolchain(name = "linux", worker = "bin/pylayer")

    toolchain(
        name = "linux_toolchain",
        exec_compatible_with = ["@platforms//os:linux", "@platforms//cpu:x86_64"],
        toolchain = ":linux",
        toolchain_type = "@pylayer//py:toolchain_type",
    )
""",
    attrs = {
        "worker": attr.label(
            allow_files = True,
            cfg = "exec",
            doc = "The executable. Keep it in a folder of its repository: Bazel 4 does not find a worker at the top.",
            executable = True,
            mandatory = True,
        ),
    },
)
