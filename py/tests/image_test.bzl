"""Tests of what py_image_layer makes: files, order, actions, inputs, arguments."""

load("//py/private:actions.bzl", "EXECUTION_REQUIREMENTS")
load("//py/private:package.bzl", "targets_of")
load(":analysis.bzl", "TestActionsInfo", "expect_equal", "result", "target_of", "target_test")

def _names(depset_of_files):
    return [file.short_path for file in depset_of_files.to_list()]

def _log_of(label):
    return "%s/%s_validation.log" % (label.package, label.name)

def _outputs_test_impl(ctx):
    failures = []
    target = target_of(ctx)
    groups = target[OutputGroupInfo]
    layers = _names(target[DefaultInfo].files)
    expect_equal(failures, "layers in order", layers, ctx.attr.layers)
    expect_equal(failures, "output group deps", _names(groups.deps), ctx.attr.layers[:-1])
    expect_equal(failures, "output group sources", _names(groups.sources), ctx.attr.layers[-1:])
    expect_equal(failures, "output group _validation", _names(groups._validation), [_log_of(target.label)])
    expect_equal(failures, "output group metadata", _names(groups.metadata), [name + ".json" for name in ctx.attr.layers])
    return result(failures)

# The layers of an image, in order, and its output groups.
outputs_test = rule(**target_test(_outputs_test_impl, {
    "layers": attr.string_list(mandatory = True),
}))

def _files_test_impl(ctx):
    failures = []
    expect_equal(failures, "files", _names(target_of(ctx)[DefaultInfo].files), ctx.attr.layers)
    return result(failures)

# The default outputs of a target.
files_test = rule(**target_test(_files_test_impl, {
    "layers": attr.string_list(mandatory = True),
}))

def _action_of(ctx, failures):
    for action in target_of(ctx)[TestActionsInfo].actions:
        for output in action.outputs.to_list():
            if output.basename == ctx.attr.blob:
                return action
    failures.append("no action writes %s" % ctx.attr.blob)
    return None

# The startup flags of the stand-in, the same for every action.
_FLAGS = ["--cache-size=1GiB", "--jobs=3"]

def _lines(action):
    """The arguments, or the lines of a file; the arguments in a params file are among them."""
    return action.argv or [""] + (action.content or "").split("\n")

def _action_test_impl(ctx):
    failures = []
    action = _action_of(ctx, failures)
    if action:
        expect_equal(failures, "mnemonic", action.mnemonic, ctx.attr.mnemonic)
        inputs = action.inputs.to_list()
        trees = [file.short_path for file in inputs if file.is_directory]
        expect_equal(failures, "trees among the inputs", sorted(trees), sorted(ctx.attr.trees))
        names = [file.short_path for file in inputs]
        for wanted in ctx.attr.inputs:
            if wanted not in names:
                failures.append("%s is no input; these are:\n  %s" % (wanted, "\n  ".join(names)))
        for suffix in ctx.attr.no_suffixes:
            unwanted = [name for name in names if name.endswith(suffix)]
            expect_equal(failures, "inputs that end in " + suffix, unwanted, [])
        outputs = sorted([file.basename for file in action.outputs.to_list()])
        wanted_outputs = [ctx.attr.blob]
        if ctx.attr.command == "layer":
            wanted_outputs.append(ctx.attr.blob + ".json")
        expect_equal(failures, "outputs", outputs, wanted_outputs)
        lines = _lines(action)
        if ctx.attr.command:
            expect_equal(failures, "flags of the worker and command", lines[1:4], _FLAGS + [ctx.attr.command])
        lines = [_portable(line, ctx.workspace_name) for line in lines]
        for wanted in ctx.attr.lines:
            if wanted not in "\n".join(lines):
                failures.append("the arguments lack\n  %s\nthey are\n  %s" % (wanted.replace("\n", "\n  "), "\n  ".join(lines)))
        for unwanted in ctx.attr.no_lines:
            if unwanted in "\n".join(lines):
                failures.append("the arguments have %s:\n  %s" % (unwanted, "\n  ".join(lines)))

        # One that begins with @ would be taken for a file of arguments.
        for line in lines[1:] if ctx.attr.command else []:
            if not (line.startswith("--") or line in [ctx.attr.command, ctx.attr.operand]):
                failures.append("a line of the params file is no flag, nor the command or its operand: %s" % line)
    return result(failures)

def _portable(line, workspace_name):
    """Takes from a line what depends on the configuration, and on the version of Bazel."""
    flag, equals, value = line.partition("=")
    if not equals and flag.startswith("bazel-out/"):
        return "/".join(flag.split("/")[3:])
    if value.startswith("bazel-out/"):
        value = "/".join(value.split("/")[3:])
    value = value.replace(".runfiles/%s/" % workspace_name, ".runfiles/_main/")
    return flag + equals + value

# An action of the image: mnemonic, inputs, outputs and arguments.
action_test = rule(**target_test(_action_test_impl, {
    "blob": attr.string(mandatory = True),
    "command": attr.string(
        default = "layer",
        doc = "Empty: the action writes a file.",
    ),
    "inputs": attr.string_list(),
    "lines": attr.string_list(),
    "mnemonic": attr.string(mandatory = True),
    "no_lines": attr.string_list(),
    "no_suffixes": attr.string_list(),
    "operand": attr.string(
        doc = "What the command is about, if it is named without a flag.",
    ),
    "trees": attr.string_list(),
}))

def _requirements_test_impl(_ctx):
    failures = []
    expect_equal(failures, "execution requirements of every layer", EXECUTION_REQUIREMENTS, {
        "requires-worker-protocol": "proto",
        "supports-multiplex-sandboxing": "1",
        "supports-multiplex-workers": "1",
        "supports-worker-cancellation": "1",
        "supports-workers": "1",
        "worker-key-mnemonic": "PyLayer",
    })
    return result(failures)

# Bazel does not show an action's execution requirements: this looks at what they are made of.
requirements_test = rule(
    implementation = _requirements_test_impl,
    analysis_test = True,
)

def _edges_test_impl(ctx):
    failures = []
    first, second = ctx.attr.first, ctx.attr.second
    for what, value, wanted in [
        ("a label", first, [first]),
        ("a list", [first, second], [first, second]),
        ("labels to strings", {first: "a", second: "b"}, [first, second]),
        ("strings to labels", {"a": first, "b": second}, [first, second]),
        ("strings to lists", {"a": [first, second]}, [first, second]),
        ("strings", ["a"], []),
        ("nothing", None, []),
    ]:
        got = [target.label for target in targets_of(value)]
        expect_equal(failures, what, got, [target.label for target in wanted])
    return result(failures)

# The targets in an attribute, whatever its type.
edges_test = rule(
    implementation = _edges_test_impl,
    analysis_test = True,
    attrs = {
        "first": attr.label(mandatory = True),
        "second": attr.label(mandatory = True),
    },
)
