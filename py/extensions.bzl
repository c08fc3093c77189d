"""The module extension that provides the worker."""

load("//py/private:host_cargo.bzl", "pylayer_host_cargo", "pylayer_host_toolchains")
load("//py/private:prebuilt.bzl", "pylayer_prebuilt_repositories")
load("//py/private:toolchain.bzl", "flags_error")

def _pylayer_impl(module_ctx):
    # Only the root module chooses: it is the one that builds.
    lockfiles, flags = [], []
    for module in module_ctx.modules:
        if module.is_root:
            lockfiles += [tag.lockfile for tag in module.tags.prebuilt]
            flags += [flag for tag in module.tags.worker for flag in tag.flags]
    if len(lockfiles) > 1:
        fail("pylayer: prebuilt is given more than once; there is one worker")
    error = flags_error(flags)
    if error:
        fail("pylayer: worker: " + error)
    if lockfiles:
        pylayer_prebuilt_repositories(lockfile = lockfiles[0], flags = flags)
        return
    pylayer_host_toolchains(name = "pylayer_toolchains", repository = "pylayer_host_cargo")
    pylayer_host_cargo(name = "pylayer_host_cargo", flags = flags)

pylayer = module_extension(
    implementation = _pylayer_impl,
    doc = """Provides the worker as a toolchain: downloaded, or built from source by the host's cargo.

    pylayer = use_extension("@pylayer//py:extensions.bzl", "pylayer")
    pylayer.prebuilt(lockfile = "//:pylayer.lock.json")
    pylayer.worker(flags = ["--cache-size=50GiB"])

Only the tags of the root module count.
""",
    tag_classes = {
        "prebuilt": tag_class(
            attrs = {
                "lockfile": attr.label(
                    doc = "JSON with the workers' addresses and digests.",
                    mandatory = True,
                ),
            },
            doc = "Downloads the worker instead of building it.",
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
