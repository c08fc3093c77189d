"""The module extension that provides the worker."""

load("//py/private:toolchain.bzl", "flags_error")
load("//py/private:worker_toolchains.bzl", "worker_repositories")

# A release has it filled in; the repository's own names no worker.
_LOCKFILE = Label("//:pylayer.lock.json")

def _pylayer_impl(module_ctx):
    # Only the root module chooses: it is the one that builds.
    lockfiles, flags, from_source, version = [], [], False, ""
    for module in module_ctx.modules:
        if module.name == "pylayer":
            version = module.version
        if module.is_root:
            lockfiles += [tag.lockfile for tag in module.tags.prebuilt]
            flags += [flag for tag in module.tags.worker for flag in tag.flags]
            from_source = bool(module.tags.from_source)
    if len(lockfiles) > 1:
        fail("pylayer: prebuilt is given more than once; there is one worker")
    if lockfiles and from_source:
        fail("pylayer: both prebuilt and from_source are given; there is one worker")
    error = flags_error(flags)
    if error:
        fail("pylayer: worker: " + error)
    worker_repositories(
        flags = flags,
        from_source = from_source,
        lockfile = lockfiles[0] if lockfiles else _LOCKFILE,
        version = version,
    )

pylayer = module_extension(
    implementation = _pylayer_impl,
    doc = """Provides the worker as a toolchain: downloaded, or built from source by the host's cargo.

A release of pylayer names its workers and their digests; the one for this
machine is downloaded. The host's cargo builds it where there is none for this
machine, and from a checkout of pylayer. `PYLAYER_BINARY` in the environment,
the absolute path of a pylayer executable, goes before both.

    pylayer = use_extension("@pylayer//py:extensions.bzl", "pylayer")
    pylayer.prebuilt(lockfile = "//:pylayer.lock.json")
    pylayer.worker(flags = ["--cache-size=50GiB"])

Only the tags of the root module count.
""",
    tag_classes = {
        "from_source": tag_class(
            doc = "Has the host's cargo build the worker, even where the release names one.",
        ),
        "prebuilt": tag_class(
            attrs = {
                "lockfile": attr.label(
                    doc = "JSON with the workers' addresses and digests.",
                    mandatory = True,
                ),
            },
            doc = "Names other workers than the release: a mirror's, or your own builds.",
        ),
        "worker": tag_class(
            attrs = {
                "flags": attr.string_list(
                    doc = "Startup flags, each of the form `--flag=value`.",
                    mandatory = True,
                ),
            },
            doc = "Sets the worker's startup flags.",
        ),
    },
)
