"""Programs that are on `PATH`, as files of a repository."""

_NAMES = ["crane", "jq", "zstd"]

def _programs_impl(ctx):
    for name in _NAMES:
        path = ctx.which(name)
        if not path:
            fail("%s is not on PATH: install it" % name)
        ctx.symlink(path, name)
    ctx.file("BUILD.bazel", "exports_files(%s)\n" % _NAMES)

programs = repository_rule(
    implementation = _programs_impl,
    doc = "Programs of this machine.",
    local = True,
)
