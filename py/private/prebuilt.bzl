"""Workers that somebody has built, from a lockfile with their digests.

The lockfile is JSON:

    {
        "version": "0.1.0",
        "workers": {
            "linux-x86_64": {
                "urls": ["https://example.com/pylayer-0.1.0-linux-x86_64"],
                "sha256": "64 hex digits"
            }
        }
    }

One repository reads it and registers a toolchain for each platform; the worker
of a platform is in a repository of its own, and downloaded when its toolchain
is taken.
"""

load(":worker_repository.bzl", "toolchain_entry", "worker_build_file")

# Platform -> os and cpu, as @platforms has them.
PREBUILT_PLATFORMS = {
    "linux-aarch64": ("linux", "aarch64"),
    "linux-x86_64": ("linux", "x86_64"),
    "macos-aarch64": ("macos", "aarch64"),
    "macos-x86_64": ("macos", "x86_64"),
}

def _is_sha256(text):
    if type(text) != "string" or len(text) != 64:
        return False
    return not [character for character in text.elems() if character not in "0123456789abcdef"]

def lockfile_error(lock):
    """What is wrong with a lockfile.

    Args:
      lock: as json.decode returns it.

    Returns:
      A string; None: nothing.
    """
    workers = lock.get("workers") if type(lock) == "dict" else None
    if type(workers) != "dict" or not workers:
        return "it has no \"workers\""
    for platform, worker in workers.items():
        if platform not in PREBUILT_PLATFORMS:
            return "it has the platform %s; known are %s" % (repr(platform), ", ".join(sorted(PREBUILT_PLATFORMS)))
        urls = worker.get("urls") if type(worker) == "dict" else None
        if type(urls) != "list" or not urls or [url for url in urls if type(url) != "string"]:
            return "%s has no list of \"urls\"" % platform

        # Without a digest anything could be run.
        if not _is_sha256(worker.get("sha256")):
            return "%s has no \"sha256\" of 64 lower-case hex digits" % platform
    return None

def _read_lockfile(rctx):
    lock = json.decode(rctx.read(rctx.attr.lockfile))
    error = lockfile_error(lock)
    if error:
        fail("pylayer: the lockfile %s is of no use: %s" % (rctx.attr.lockfile, error))
    return lock["workers"]

def _pylayer_prebuilt_impl(rctx):
    worker = _read_lockfile(rctx).get(rctx.attr.platform)
    if not worker:
        fail("pylayer: the lockfile %s has no worker for %s" % (rctx.attr.lockfile, rctx.attr.platform))
    rctx.download(
        executable = True,
        output = "bin/pylayer",
        sha256 = worker["sha256"],
        url = worker["urls"],
    )
    rctx.file("BUILD.bazel", worker_build_file("pylayer", rctx.attr.flags), executable = False)

_LOCKFILE = attr.label(
    allow_single_file = [".json"],
    doc = "The lockfile.",
    mandatory = True,
)

pylayer_prebuilt = repository_rule(
    implementation = _pylayer_prebuilt_impl,
    doc = "Downloads the worker of one platform.",
    attrs = {
        "flags": attr.string_list(
            doc = "Startup flags of the worker.",
        ),
        "lockfile": _LOCKFILE,
        "platform": attr.string(
            doc = "A platform of the lockfile.",
            mandatory = True,
            values = sorted(PREBUILT_PLATFORMS),
        ),
    },
)

def _pylayer_prebuilt_toolchains_impl(rctx):
    entries = []
    for platform in sorted(_read_lockfile(rctx)):
        os, cpu = PREBUILT_PLATFORMS[platform]
        entries.append(toolchain_entry(platform, rctx.attr.repositories[platform], os, cpu))
    rctx.file("BUILD.bazel", "\n".join(entries), executable = False)

pylayer_prebuilt_toolchains = repository_rule(
    implementation = _pylayer_prebuilt_toolchains_impl,
    doc = "Registers the workers of a lockfile, each for its platform.",
    attrs = {
        "lockfile": _LOCKFILE,
        "repositories": attr.string_dict(
            doc = "Platform -> name of its pylayer_prebuilt repository.",
            mandatory = True,
        ),
    },
)

def pylayer_prebuilt_repositories(lockfile, flags, name = "pylayer_toolchains"):
    """Declares the repositories of all platforms, and the one that registers them.

    Args:
      lockfile: label of the lockfile.
      flags: startup flags of the worker.
      name: the repository with the toolchains to register.
    """
    repositories = {}
    for platform in PREBUILT_PLATFORMS:
        repositories[platform] = "pylayer_prebuilt_" + platform.replace("-", "_")
        pylayer_prebuilt(
            name = repositories[platform],
            flags = flags,
            lockfile = lockfile,
            platform = platform,
        )
    pylayer_prebuilt_toolchains(
        name = name,
        lockfile = lockfile,
        repositories = repositories,
    )
