"""py_image: an image of layers, as an OCI image layout, and what hands it to docker or podman."""

load(":actions.bzl", "MNEMONIC_LAYOUT", "MNEMONIC_REPORT", "new_args", "run_worker")
load(":image_macro.bzl", "common_attributes")
load(":providers.bzl", "PyImageLayersInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")
load(":transition.bzl", "platform_transition")

_LAYERS = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"]

# The processors of Bazel's platforms, as images name them.
_ARCHITECTURES = {
    Label("@platforms//cpu:x86_64"): "amd64",
    Label("@platforms//cpu:aarch64"): "arm64",
    Label("@platforms//cpu:armv7"): "arm/v7",
    Label("@platforms//cpu:x86_32"): "386",
    Label("@platforms//cpu:ppc64le"): "ppc64le",
    Label("@platforms//cpu:riscv64"): "riscv64",
    Label("@platforms//cpu:s390x"): "s390x",
}

def _oci_platform(ctx):
    """The platform of the image as `OS/ARCH[/VARIANT]`; None: what the base has."""
    if ctx.attr.oci_platform:
        return ctx.attr.oci_platform
    for target, architecture in ctx.attr._architectures.items():
        if ctx.target_platform_has_constraint(target[platform_common.ConstraintValueInfo]):
            return "linux/" + architecture
    return None

def _launchers(ctx):
    """The paths of all binaries' launchers, by the binaries' names."""
    launchers = {}
    labels = {}
    for target in ctx.attr.layers:
        if PyImageLayersInfo not in target:
            continue
        for name, path in target[PyImageLayersInfo].launchers.items():
            other = labels.setdefault(path, target.label)
            if other != target.label or name in launchers:
                fail("py_image %s: %s and %s both have a launcher %s at %s; one py_image_layer with all `binaries` gives each its place" % (
                    ctx.label,
                    other,
                    target.label,
                    repr(name),
                    path,
                ))
            launchers[name] = path
    return launchers

def _entrypoint(ctx):
    """The words of the entry point: those that are given, or the launcher; empty: the base's."""
    launchers = _launchers(ctx)
    if ctx.attr.entrypoint and ctx.attr.launcher:
        fail("py_image %s: both entrypoint and launcher are given; give one of the two" % ctx.label)
    names = ", ".join([repr(name) for name in sorted(launchers)])
    if ctx.attr.launcher:
        if ctx.attr.launcher not in launchers:
            fail("py_image %s: no binary in its layers is named %s; there are: %s" % (
                ctx.label,
                repr(ctx.attr.launcher),
                names or "none",
            ))
        return [launchers[ctx.attr.launcher]]
    if ctx.attr.entrypoint or not launchers:
        return ctx.attr.entrypoint
    if len(launchers) > 1:
        fail("py_image %s: its layers have several binaries: launcher = says which one runs, one of %s" % (ctx.label, names))
    return launchers.values()

def _add_base(ctx, args):
    """Names the base image's layout: a directory, or that of the file `oci-layout` among several."""
    files = ctx.files.base
    if len(files) == 1:
        args.add_all(files, expand_directories = False, format_each = "--base=%s")
        return
    marks = [file.dirname for file in files if file.basename == "oci-layout"]
    if len(marks) != 1:
        fail("py_image %s: base has to be an OCI image layout: one directory, or its files, `oci-layout` among them; %s has %d files" % (
            ctx.label,
            ctx.attr.base.label,
            len(files),
        ))
    args.add(marks[0], format = "--base=%s")

def _add_layers(ctx, args):
    """Names the layers, with the metadata that spares reading them; gives the inputs."""
    seen = {}
    inputs = []
    for target in ctx.attr.layers:
        if PyImageLayersInfo not in target:
            args.add_all(target.files, format_each = "--layer=%s")
            inputs.append(target.files)
            continue
        for layer in target[PyImageLayersInfo].layers:
            # Two images have a package's layer in common.
            if layer.blob not in seen:
                seen[layer.blob] = None
                args.add(layer.blob, format = "--layer=%s")
                args.add(layer.metadata, format = "--metadata=%s")
                inputs.append(depset([layer.blob, layer.metadata]))
    return inputs

def _add_pairs(args, flag, pairs):
    args.add_all(["%s=%s" % (name, pairs[name]) for name in sorted(pairs)], format_each = "--" + flag + "=%s")

def _add_config(ctx, args):
    """Says how the image runs."""
    args.add_all(_entrypoint(ctx), format_each = "--entrypoint=%s")
    args.add_all(ctx.attr.cmd, format_each = "--cmd=%s")
    _add_pairs(args, "env", ctx.attr.env)
    _add_pairs(args, "label", ctx.attr.labels)
    args.add_all(ctx.attr.exposed_ports, format_each = "--exposed-port=%s")
    args.add_all(ctx.attr.volumes, format_each = "--volume=%s")
    for flag, value in [
        ("created", ctx.attr.created),
        ("platform", _oci_platform(ctx)),
        ("stop-signal", ctx.attr.stop_signal),
        ("tag", ctx.attr.tag),
        ("user", ctx.attr.user),
        ("workdir", ctx.attr.workdir),
    ]:
        if value:
            args.add(value, format = "--" + flag + "=%s")

def _report(ctx, image):
    page = ctx.actions.declare_file(ctx.label.name + ".html")
    args = new_args(ctx)
    args.add("inspect")
    args.add_all([image], expand_directories = False)
    args.add(page, format = "--report=%s")
    run_worker(
        ctx,
        args,
        mnemonic = MNEMONIC_REPORT,
        progress_message = "Page about %{label}",
        inputs = depset([image]),
        outputs = [page],
    )
    return page

def _py_image_impl(ctx):
    if not ctx.attr.layers and not ctx.attr.base:
        fail("py_image %s: neither layers nor a base is given" % ctx.label)
    image = ctx.actions.declare_directory(ctx.label.name)
    args = new_args(ctx)
    args.add("image")
    args.add_all([image], expand_directories = False, format_each = "--output=%s")
    inputs = _add_layers(ctx, args)
    if ctx.attr.base:
        _add_base(ctx, args)

        # The blobs of an oci_image may be links to files that are its runfiles.
        base = ctx.attr.base[DefaultInfo]
        inputs.extend([base.files, base.default_runfiles.files])
    _add_config(ctx, args)
    run_worker(
        ctx,
        args,
        mnemonic = MNEMONIC_LAYOUT,
        progress_message = "Image %{label}",
        inputs = depset(transitive = inputs),
        outputs = [image],
    )
    return [
        DefaultInfo(files = depset([image]), runfiles = ctx.runfiles([image])),
        OutputGroupInfo(report = depset([_report(ctx, image)])),
    ]

py_image_rule = rule(
    implementation = _py_image_impl,
    doc = "Makes an image. Use the macro py_image, which adds the target that loads it.",
    attrs = {
        "base": attr.label(
            allow_files = True,
            doc = "The base image: an OCI image layout.",
        ),
        "cmd": attr.string_list(
            doc = "The program's further arguments.",
        ),
        "created": attr.string(
            doc = "The image's time, in seconds since 1970.",
        ),
        "entrypoint": attr.string_list(
            doc = "The program, then its first arguments.",
        ),
        "env": attr.string_dict(
            doc = "Variables of the environment.",
        ),
        "exposed_ports": attr.string_list(
            doc = "Ports that the program listens on.",
        ),
        "labels": attr.string_dict(
            doc = "The image's labels.",
        ),
        "launcher": attr.string(
            doc = "Of several binaries, the name of the one that runs.",
        ),
        "layers": attr.label_list(
            allow_files = _LAYERS,
            doc = "Targets of py_image_layer, and other layers.",
        ),
        "oci_platform": attr.string(
            doc = "The platform as images name it.",
        ),
        "platform": attr.label(
            doc = "The platform that the image is for. Default: that of the build.",
        ),
        "stop_signal": attr.string(
            doc = "The signal that asks the program to stop.",
        ),
        "tag": attr.string(
            doc = "What the image is called in the layout.",
        ),
        "user": attr.string(
            doc = "The user that the program runs as.",
        ),
        "volumes": attr.string_list(
            doc = "Folders that are each container's own.",
        ),
        "workdir": attr.string(
            doc = "The directory that the program starts in.",
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_architectures": attr.label_keyed_string_dict(
            default = _ARCHITECTURES,
        ),
    },
    cfg = platform_transition,
    toolchains = [TOOLCHAIN_TYPE],
)

# `bazel run` starts it in its runfiles; from elsewhere they are beside it.
_LOAD = """#!/bin/sh
[ -e {worker} ] || cd "$0.runfiles"/{workspace} || exit
exec {worker} load {image} {tags} "$@"
"""

def _quoted(text):
    """A word of the shell."""
    return "'" + text.replace("'", "'\\''") + "'"

def _py_image_load_impl(ctx):
    worker = ctx.toolchains[TOOLCHAIN_TYPE].pylayer.worker.executable
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        script,
        _LOAD.format(
            image = _quoted(ctx.file.image.short_path),
            tags = " ".join([_quoted("--tag=" + tag) for tag in ctx.attr.repo_tags]),
            worker = _quoted(worker.short_path),
            workspace = _quoted(ctx.workspace_name),
        ),
        is_executable = True,
    )
    return [DefaultInfo(
        executable = script,
        runfiles = ctx.runfiles([ctx.file.image, worker]),
    )]

py_image_load = rule(
    implementation = _py_image_load_impl,
    doc = "Hands an image to docker or podman. py_image declares it.",
    attrs = {
        "image": attr.label(
            allow_single_file = True,
            doc = "An OCI image layout.",
            mandatory = True,
        ),
        "repo_tags": attr.string_list(
            doc = "What the image is called.",
        ),
    },
    executable = True,
    toolchains = [TOOLCHAIN_TYPE],
)

def py_image(
        name,
        layers = [],
        base = None,
        entrypoint = [],
        launcher = "",
        cmd = [],
        env = {},
        user = "",
        workdir = "",
        labels = {},
        exposed_ports = [],
        volumes = [],
        stop_signal = "",
        created = "",
        tag = "",
        repo_tags = [],
        platform = None,
        oci_platform = "",
        tags = [],
        **kwargs):
    """Makes a container image of layers, as an OCI image layout.

        py_image(
            name = "image",
            base = "@debian",
            layers = [":layers"],
            user = "1000",
        )

    The default output is the layout: a directory that skopeo, crane, podman, and umoci read. rules_oci
    takes it as `base` of an `oci_image` and as `image` of an `oci_push`. Layers that py_image_layer
    makes are not read: their metadata says what the image needs to know. Layers without entries, and
    those that the image has already, are left out with a warning.

    Output group `report`: one HTML file that shows what is in which layer.

    Also made: `<name>.load`. `bazel run` hands the image to docker, or to podman where there is no
    docker. `bazel run <name>.load -- --program=PROGRAM` hands it to another program.

    Args:
      name: the target's name. The layout is a directory of this name.
      layers: targets of `py_image_layer`, and other layers: files `.tar`, `.tar.gz`, `.tgz`,
        `.tar.zst`, or `.tzst`, which are read. The first ones are the lowest.
      base: label of the base image, an OCI image layout: a directory, such as rules_oci's `oci.pull`
        or another `py_image` makes, or its files. Its config is kept and added to.
      entrypoint: the program, then its first arguments. It drops the base's command. Default: the
        launcher of the binary in `layers`. `[""]` means that the image has no
        entry point.
      launcher: of several binaries, the name of the one that runs.
      cmd: the program's further arguments. `[""]` means that there are none.
      env: variables of the environment, in place of the base's of the same names. Values are taken as
        they stand: `$PATH` is not the base's `PATH`.
      user: the user that the program runs as: a name or number, and a group's after a colon.
      workdir: the directory that the program starts in.
      labels: labels of the image, in place of the base's of the same names.
      exposed_ports: ports that the program listens on, such as `"8080"` or `"53/udp"`.
      volumes: folders that are each container's own.
      stop_signal: the signal that asks the program to stop, such as `"SIGINT"`.
      created: the image's time, in seconds since 1970. Default: that of all files in a layer.
      tag: what the layout calls the image. Default: `latest`.
      repo_tags: what docker or podman are to call the image, such as `"example.com/app:v1"`. Default:
        the target's name and `tag`.
      platform: label of the platform that the base and the layers are built for. Default: that of the
        build.
      oci_platform: `OS/ARCH[/VARIANT]`. It chooses among a base's images, and a base that is for
        another platform is an error. Default: linux and the processor of the platform.
      tags: tags of all targets.
      **kwargs: attributes that every rule has, such as `visibility` and `testonly`.
    """
    py_image_rule(
        name = name,
        base = base,
        cmd = cmd,
        created = created,
        entrypoint = entrypoint,
        env = env,
        exposed_ports = exposed_ports,
        labels = labels,
        launcher = launcher,
        layers = layers,
        oci_platform = oci_platform,
        platform = platform,
        stop_signal = stop_signal,
        tag = tag,
        tags = tags,
        user = user,
        volumes = volumes,
        workdir = workdir,
        **kwargs
    )
    py_image_load(
        name = name + ".load",
        image = name,
        repo_tags = repo_tags,
        tags = tags,
        **common_attributes(kwargs)
    )
