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

The worker of a platform is in a repository of its own, and downloaded when its
toolchain is taken.
"""

load(":worker_repository.bzl", "worker_build_file")

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

def lockfile_error(lock, version = ""):
    """What is wrong with a lockfile.

    Args:
      lock: as json.decode returns it.
      version: of these rules; empty: not known.

    Returns:
      A string; None: nothing.
    """
    workers = lock.get("workers") if type(lock) == "dict" else None
    if type(workers) != "dict":
        return "it has no \"workers\""

    # The rules and their worker agree on the worker's command line.
    if version and lock.get("version", version) != version:
        return "it is for version %s, and these are the rules of version %s; take the lockfile of their release" % (lock["version"], version)
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

def read_lockfile(rctx, version = ""):
    """The workers of a repository rule's lockfile, which has to be in order.

    Args:
      rctx: of the repository rule, with an attribute `lockfile`.
      version: of these rules; empty: not known.

    Returns:
      A dict: platform -> a dict with `urls` and `sha256`.
    """
    lock = json.decode(rctx.read(rctx.attr.lockfile))
    error = lockfile_error(lock, version)
    if error:
        fail("pylayer: the lockfile %s is of no use: %s" % (rctx.attr.lockfile, error))
    return lock["workers"]

def _pylayer_prebuilt_impl(rctx):
    worker = read_lockfile(rctx).get(rctx.attr.platform)
    if not worker:
        fail("pylayer: the lockfile %s has no worker for %s" % (rctx.attr.lockfile, rctx.attr.platform))
    rctx.download(
        executable = True,
        output = "bin/pylayer",
        sha256 = worker["sha256"],
        url = worker["urls"],
    )
    rctx.file("BUILD.bazel", worker_build_file("pylayer", rctx.attr.flags), executable = False)

pylayer_prebuilt = repository_rule(
    implementation = _pylayer_prebuilt_impl,
    doc = "Downloads the worker of one platform.",
    attrs = {
        "flags": attr.string_list(
            doc = "Startup flags of the worker.",
        ),
        "lockfile": attr.label(
            allow_single_file = [".json"],
            doc = "The lockfile.",
            mandatory = True,
        ),
        "platform": attr.string(
            doc = "A platform of the lockfile.",
            mandatory = True,
            values = sorted(PREBUILT_PLATFORMS),
        ),
    },
)
