"""The module extension of MODULE.bazel. A WORKSPACE never loads this file."""

load("//py/private:host_cargo.bzl", "pylayer_host_repositories")
load("//py/private:prebuilt.bzl", "pylayer_prebuilt_repositories")

def _pylayer_impl(module_ctx):
    # Only the root module chooses: it is the one that builds.
    for module in module_ctx.modules:
        if not module.is_root or not module.tags.prebuilt:
            continue
        if len(module.tags.prebuilt) > 1:
            fail("pylayer: prebuilt is given more than once; there is one worker")
        pylayer_prebuilt_repositories(lockfile = module.tags.prebuilt[0].lockfile)
        return
    pylayer_host_repositories()

pylayer = module_extension(
    implementation = _pylayer_impl,
    doc = """The worker, as a toolchain: built from source by the host's cargo, or downloaded.

    pylayer = use_extension("@pylayer//py:extensions.bzl", "pylayer")
    pylayer.prebuilt(lockfile = "//:pylayer.lock.json")
""",
    tag_classes = {
        "prebuilt": tag_class(
            attrs = {
                "lockfile": attr.label(
                    doc = "JSON with the workers' addresses and digests.",
                    mandatory = True,
                ),
            },
            doc = "Downloads the worker, in place of building it. Only the root module's is heard.",
        ),
    },
)
