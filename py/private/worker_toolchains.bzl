"""Which worker serves which platform."""

load(":host_cargo.bzl", "given_binary", "pylayer_host_cargo")
load(":prebuilt.bzl", "PREBUILT_PLATFORMS", "pylayer_prebuilt", "read_lockfile")
load(":worker_repository.bzl", "toolchain_entry")

# Bazel's name -> the name that @platforms has.
_OS = {"darwin": "macos", "linux": "linux", "mac": "macos", "windows": "windows"}
_CPU = {"aarch64": "aarch64", "amd64": "x86_64", "arm64": "aarch64", "x86_64": "x86_64"}

def _prebuilt_repository(platform):
    return "pylayer_prebuilt_" + platform.replace("-", "_")

def _pylayer_toolchains_impl(rctx):
    # This rule runs first, before anything is fetched or analyzed: what is wrong is said now.
    binary = given_binary(rctx)
    workers = {} if rctx.attr.from_source else read_lockfile(rctx, rctx.attr.version)
    host = (_OS.get(rctx.os.name.lower().split(" ")[0]), _CPU.get(rctx.os.arch))
    entries = []
    served = False
    for platform in sorted(workers):
        os, cpu = PREBUILT_PLATFORMS[platform]
        if (os, cpu) == host:
            if binary:
                continue
            served = True
        entries.append(toolchain_entry(platform, _prebuilt_repository(platform), os, cpu))
    if not served:
        entries.append(toolchain_entry("host_cargo", "pylayer_host_cargo", host[0], host[1]))
    rctx.file("BUILD.bazel", "\n".join(entries), executable = False)

_pylayer_toolchains = repository_rule(
    implementation = _pylayer_toolchains_impl,
    doc = """Registers a worker for each platform of the lockfile, and for this machine in any case.

For this machine it is the one of the lockfile; where that has none, or
`PYLAYER_BINARY` is set, what pylayer_host_cargo has.
""",
    attrs = {
        "from_source": attr.bool(
            doc = "Whether the lockfile does not count.",
        ),
        "lockfile": attr.label(
            allow_single_file = [".json"],
            doc = "The lockfile.",
            mandatory = True,
        ),
        "version": attr.string(
            doc = "The version of these rules.",
        ),
    },
    environ = ["PYLAYER_BINARY"],
)

def worker_repositories(lockfile, flags, from_source, version):
    """Declares the repository `pylayer_toolchains`, and those that it refers to.

    Args:
      lockfile: label of the lockfile.
      flags: startup flags of the worker.
      from_source: whether the lockfile does not count.
      version: of these rules; empty: not known.
    """
    for platform in PREBUILT_PLATFORMS:
        pylayer_prebuilt(
            name = _prebuilt_repository(platform),
            flags = flags,
            lockfile = lockfile,
            platform = platform,
        )
    pylayer_host_cargo(name = "pylayer_host_cargo", flags = flags)
    _pylayer_toolchains(
        name = "pylayer_toolchains",
        from_source = from_source,
        lockfile = lockfile,
        version = version,
    )
