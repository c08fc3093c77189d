"""Rules that look to pylayer like those of Python, without Python."""

def _merge_runfiles(runfiles, targets):
    for target in targets:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return runfiles

def _fake_wheel_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".install")
    ctx.actions.run_shell(
        command = "mkdir -p $1/lib/python3.11/site-packages && echo > $1/lib/python3.11/site-packages/$2.py",
        arguments = [tree.path, ctx.label.name],
        outputs = [tree],
    )
    return [
        DefaultInfo(
            files = depset([tree]),
            runfiles = _merge_runfiles(ctx.runfiles(files = [tree]), ctx.attr.deps),
        ),
        OutputGroupInfo(install_dir = depset([tree])),
    ]

# A package as rules_py has it: one tree, in the output group install_dir.
fake_wheel = rule(
    implementation = _fake_wheel_impl,
    attrs = {
        "deps": attr.label_list(),
        "src": attr.label(allow_single_file = True),
    },
)

def _built_wheel_impl(ctx):
    directory = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(command = "echo > $1/$2-1.0-py3-none-any.whl", arguments = [directory.path, ctx.label.name], outputs = [directory])
    return [DefaultInfo(files = depset([directory]))]

# A wheel that Bazel builds, in a directory: nobody knows its name before.
built_wheel = rule(
    implementation = _built_wheel_impl,
)

def _fake_runtime_impl(ctx):
    return [platform_common.ToolchainInfo(py3_runtime = struct(
        files = depset(ctx.files.stdlib),
        interpreter = ctx.file.interpreter,
    ))]

# A toolchain with an interpreter.
fake_runtime = rule(
    implementation = _fake_runtime_impl,
    attrs = {
        "interpreter": attr.label(allow_single_file = True),
        "stdlib": attr.label_list(allow_files = True),
    },
)

def _fake_forward_impl(ctx):
    actual = ctx.attr.actual[DefaultInfo]
    providers = [DefaultInfo(files = actual.files, runfiles = actual.default_runfiles)]
    if ctx.attr.forwards_groups:
        providers.append(ctx.attr.actual[OutputGroupInfo])
    return providers

# A target that stands for the one behind `actual`.
fake_forward = rule(
    implementation = _fake_forward_impl,
    attrs = {
        "actual": attr.label(),
        "forwards_groups": attr.bool(),
    },
)

def _fake_archive_impl(ctx):
    archive = ctx.actions.declare_file(ctx.label.name + ".zip")
    ctx.actions.write(archive, "")
    return [DefaultInfo(files = depset([archive]))]

# Something made of its `deps`, which nobody needs afterwards.
fake_archive = rule(
    implementation = _fake_archive_impl,
    attrs = {"deps": attr.label_list()},
)

def _fake_venv_impl(ctx):
    return [DefaultInfo(runfiles = _merge_runfiles(ctx.runfiles(), ctx.attr.deps))]

# A virtual environment.
fake_venv = rule(
    implementation = _fake_venv_impl,
    attrs = {"deps": attr.label_list()},
)

def _py_unpacked_wheel_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name + ".tree")
    ctx.actions.run_shell(command = "mkdir -p %s && echo > %s/a.py" % (tree.path, tree.path), outputs = [tree])
    return [DefaultInfo(
        files = depset([tree]),
        runfiles = ctx.runfiles(files = [tree]),
    )]

# A package that is known by its kind.
py_unpacked_wheel = rule(
    implementation = _py_unpacked_wheel_impl,
    attrs = {"src": attr.label(allow_single_file = [".whl"])},
)

def _fake_library_impl(ctx):
    runfiles = ctx.runfiles(files = ctx.files.srcs + ctx.files.data + ctx.files.hidden)
    return [DefaultInfo(
        files = depset(ctx.files.srcs),
        runfiles = _merge_runfiles(runfiles, ctx.attr.deps + ctx.attr.data + ctx.attr.hidden),
    )]

def _bare_library_impl(ctx):
    return [DefaultInfo(files = depset(ctx.files.srcs)), BareInfo(sources = ctx.files.srcs)]

BareInfo = provider(
    doc = "What a binary adds to its runfiles.",
    fields = {"sources": "list of File"},
)

# A library whose sources are not in its runfiles, as rules_py has them.
bare_library = rule(
    implementation = _bare_library_impl,
    attrs = {"srcs": attr.label_list(allow_files = True)},
)

# A library. `hidden` is an edge that no aspect of pylayer follows.
fake_library = rule(
    implementation = _fake_library_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "deps": attr.label_list(),
        "hidden": attr.label_list(allow_files = True),
        "srcs": attr.label_list(allow_files = True),
    },
)

def _fake_binary_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\n", is_executable = True)
    runfiles = ctx.runfiles(
        files = [launcher] + ctx.files.srcs + ctx.files.data + ctx.files._interpreter,
        root_symlinks = {"top/own.txt": ctx.file.link} if ctx.file.link else {},
        symlinks = {
            "links/%s" % (file.basename): file
            for file in ctx.files.linked
        },
    )
    return [DefaultInfo(
        executable = launcher,
        files = depset([launcher] + ctx.files.srcs),
        runfiles = _merge_runfiles(
            runfiles,
            ctx.attr.deps + ctx.attr.data + ctx.attr.resolutions.keys() + ([ctx.attr.venv] if ctx.attr.venv else []),
        ),
    )]

_BINARY_ATTRS = {
    "data": attr.label_list(allow_files = True),
    "deps": attr.label_list(),
    "link": attr.label(allow_single_file = True),
    "linked": attr.label_list(allow_files = True),
    "resolutions": attr.label_keyed_string_dict(),
    "srcs": attr.label_list(allow_files = True),
    "venv": attr.label(),
    "_interpreter": attr.label_list(),
}

# A binary, with every edge that pylayer follows.
fake_binary = rule(
    implementation = _fake_binary_impl,
    attrs = _BINARY_ATTRS,
    executable = True,
)

# One that brings the interpreter along, known by its kind.
py_binary = rule(
    implementation = _fake_binary_impl,
    attrs = dict(_BINARY_ATTRS, _interpreter = attr.label_list(
        allow_files = True,
        default = [
            Label("//py/tests:testdata/python/bin/python3"),
            Label("//py/tests:testdata/python/lib/os.py"),
        ],
    )),
    executable = True,
)

_COMPILATION_MODE = "//command_line_option:compilation_mode"

def _opt_transition_impl(_settings, _attr):
    return {_COMPILATION_MODE: "opt"}

_opt_transition = transition(
    implementation = _opt_transition_impl,
    inputs = [],
    outputs = [_COMPILATION_MODE],
)

# A binary that is built in a configuration of its own.
opt_binary = rule(
    implementation = _fake_binary_impl,
    attrs = dict(_BINARY_ATTRS, _allowlist_function_transition = attr.label(
        default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
    )),
    cfg = _opt_transition,
    executable = True,
)

def _generated_impl(ctx):
    file = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.write(file, "")
    return [DefaultInfo(files = depset([file]))]

# A file that each configuration has anew.
generated = rule(
    implementation = _generated_impl,
)

def _bare_binary_impl(ctx):
    launcher = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(launcher, "#!/bin/sh\n", is_executable = True)
    return [DefaultInfo(
        executable = launcher,
        runfiles = ctx.runfiles(
            files = ctx.files.data,
            symlinks = {"links/launcher": launcher} if ctx.attr.linked else {},
        ),
    )]

# A binary with nothing but `data` in its runfiles, as one of another repository.
bare_binary = rule(
    implementation = _bare_binary_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "linked": attr.bool(),
    },
    executable = True,
)

def _tool_impl(ctx):
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(script, "#!/bin/sh\n", is_executable = True)
    return [DefaultInfo(
        executable = script,
        files = depset([script]),
        runfiles = ctx.runfiles(files = ctx.files.needs),
    )]

# A generated program that needs other files.
generated_tool = rule(
    implementation = _tool_impl,
    attrs = {"needs": attr.label_list(allow_files = True)},
    executable = True,
)

def _venv_lib_impl(ctx):
    config = ctx.actions.declare_file(".%s.venv/pyvenv.cfg" % ctx.label.name)
    ctx.actions.write(config, "")
    python = ctx.actions.declare_symlink(".%s.venv/bin/python3" % ctx.label.name)
    ctx.actions.symlink(output = python, target_path = "/usr/bin/python3")
    sources = [file for dep in ctx.attr.deps if BareInfo in dep for file in dep[BareInfo].sources]
    return [DefaultInfo(runfiles = _merge_runfiles(
        ctx.runfiles(files = [config, python] + sources + ctx.files._interpreter),
        ctx.attr.deps + [ctx.attr._runfiles_lib],
    ))]

# An environment as today's rules_py has it: known by its kind, with the runfiles
# library by an attribute of its own.
_py_venv_lib = rule(
    implementation = _venv_lib_impl,
    attrs = {
        "deps": attr.label_list(),
        "_interpreter": attr.label_list(
            allow_files = True,
            default = [
                Label("//py/tests:testdata/python/bin/python3"),
                Label("//py/tests:testdata/python/lib/os.py"),
            ],
        ),
        "_runfiles_lib": attr.label(default = Label("//py/tests:runfiles_lib")),
    },
)

def venv_lib(**kwargs):
    _py_venv_lib(**kwargs)
