"""A rule whose worker speaks JSON."""

def _inputs_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".inputs")
    args = ctx.actions.args()
    args.use_param_file("@%s", use_always = True)
    args.set_param_file_format("multiline")
    args.add(output)
    requirements = {
        "requires-worker-protocol": "json",
        "supports-workers": "1",
    }
    if ctx.attr.multiplex:
        requirements["supports-multiplex-workers"] = "1"
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable.worker,
        execution_requirements = requirements,
        inputs = ctx.files.srcs,
        mnemonic = "Inputs",
        outputs = [output],
        progress_message = "Inputs of %s" % ctx.label,
    )
    return [DefaultInfo(files = depset([output]))]

inputs = rule(
    implementation = _inputs_impl,
    doc = "A file with the digest and the path of each input, as Bazel tells its worker.",
    attrs = {
        "multiplex": attr.bool(
            doc = "Whether several requests may go to one process at once.",
        ),
        "srcs": attr.label_list(
            allow_files = True,
            doc = "The inputs.",
        ),
        "worker": attr.label(
            allow_single_file = True,
            cfg = "exec",
            doc = "The worker.",
            executable = True,
            mandatory = True,
        ),
    },
)
