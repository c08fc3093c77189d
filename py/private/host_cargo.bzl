"""The worker, built from this repository by the host's cargo.

The repository is fetched when its toolchain is taken, so cargo runs only when a
layer is made.
"""

load(":compat.bzl", "watch_tree")
load(":worker_repository.bzl", "worker_build_file")

# All that cargo reads. A change of any of these files builds the worker again.
_FILES = ["Cargo.lock", "Cargo.toml", "rust-toolchain.toml"]
_DIRECTORIES = [".cargo", "proto", "src", "worker_protocol", "xtask"]

# A release build with link-time optimisation, on a slow machine.
_TIMEOUT_SECONDS = 3600

# How much of cargo's output a failure shows.
_TAIL_LINES = 40

def _windows(rctx):
    return rctx.os.name.lower().startswith("windows")

def _watch_sources(rctx, root):
    """Runs this rule again when a source changes."""
    for name in _FILES:
        if root.get_child(name).exists:
            rctx.path(Label("//:" + name))
    for name in _DIRECTORIES:
        if root.get_child(name).exists:
            watch_tree(rctx, root.get_child(name))

def _find_cargo(rctx):
    environ = rctx.os.environ
    if environ.get("CARGO"):
        return environ["CARGO"]
    name = "cargo.exe" if _windows(rctx) else "cargo"
    if environ.get("CARGO_HOME"):
        cargo = rctx.path(environ["CARGO_HOME"]).get_child("bin").get_child(name)
        if cargo.exists:
            return cargo
    cargo = rctx.which(name)
    if cargo:
        return cargo
    if environ.get("HOME"):
        cargo = rctx.path(environ["HOME"]).get_child(".cargo").get_child("bin").get_child(name)
        if cargo.exists:
            return cargo
    fail("pylayer: no cargo to build the worker with: it is neither in CARGO, nor in CARGO_HOME/bin, PATH or HOME/.cargo/bin. " +
         "Install Rust, or set PYLAYER_BINARY to the path of a pylayer executable.")

def _tail(text):
    lines = text.strip().split("\n")
    return "\n".join(lines[-_TAIL_LINES:])

def _copy(rctx, built, executable):
    """Copies the worker, since the next build may write the original while a worker runs."""
    rctx.file("bin/README", "The pylayer worker, built by the host's cargo.\n", executable = False)
    command = ["cp", built, "bin/" + executable]
    if _windows(rctx):
        command = ["cmd", "/c", "copy", str(built).replace("/", "\\"), "bin\\" + executable]
    result = rctx.execute(command)
    if result.return_code != 0:
        fail("pylayer: the worker at %s cannot be copied: %s" % (built, _tail(result.stderr + result.stdout)))

def _build(rctx, executable):
    root = rctx.path(Label("//:Cargo.toml")).dirname
    _watch_sources(rctx, root)
    cargo = _find_cargo(rctx)
    own_target = "CARGO_TARGET_DIR" not in rctx.os.environ
    target = rctx.path("target" if own_target else rctx.os.environ["CARGO_TARGET_DIR"])
    rctx.report_progress("cargo builds the pylayer worker; this takes a few minutes the first time")
    command = [
        cargo,
        "build",
        "--release",
        "--locked",
        "--package",
        "pylayer",
        "--bin",
        "pylayer",
        "--manifest-path",
        root.get_child("Cargo.toml"),
        "--target-dir",
        target,
    ]
    result = rctx.execute(command, quiet = False, timeout = _TIMEOUT_SECONDS)
    if result.return_code != 0:
        fail(("pylayer: cargo could not build the worker (exit code %d):\n  %s\n%s\n" +
              "Set CARGO to another cargo, or PYLAYER_BINARY to the path of a pylayer executable.") % (
            result.return_code,
            " ".join([str(word) for word in command]),
            _tail(result.stderr + result.stdout),
        ))
    built = target.get_child("release").get_child(executable)
    if not built.exists:
        fail("pylayer: cargo has built the worker, but there is no %s; is a build target set in cargo's configuration?" % built)

    _copy(rctx, built, executable)
    if own_target:
        rctx.delete("target")

def given_binary(rctx):
    """The path in PYLAYER_BINARY, which has to be one of a file.

    Args:
      rctx: of a repository rule that names PYLAYER_BINARY in `environ`.

    Returns:
      A path; None: it is not set.
    """
    binary = rctx.os.environ.get("PYLAYER_BINARY", "")
    if not binary:
        return None
    error = None
    if not binary.startswith("/") and not _windows(rctx):
        error = "is not an absolute path"
    elif not rctx.path(binary).exists:
        error = "does not exist"
    elif rctx.path(binary).is_dir:
        error = "is a directory"
    if error:
        fail("PYLAYER_BINARY=%s %s. Set it to the absolute path of a pylayer executable, or unset it to have cargo build the worker." % (binary, error))
    return rctx.path(binary)

def _pylayer_host_cargo_impl(rctx):
    executable = "pylayer.exe" if _windows(rctx) else "pylayer"
    binary = given_binary(rctx)
    if binary:
        # A link, so that Bazel sees when the executable changes.
        rctx.symlink(binary, "bin/" + executable)
    else:
        _build(rctx, executable)
    rctx.file("BUILD.bazel", worker_build_file(executable, rctx.attr.flags), executable = False)

pylayer_host_cargo = repository_rule(
    implementation = _pylayer_host_cargo_impl,
    doc = """Builds the worker with the host's cargo, in release, from the sources next to this file.

Environment: `PYLAYER_BINARY` (absolute path of a pylayer executable, taken
instead; cargo is not needed then), `CARGO` (cargo itself), `CARGO_HOME`,
`CARGO_TARGET_DIR` (kept between builds, so that a change of the worker builds
faster), `RUSTUP_HOME` and `RUSTUP_TOOLCHAIN`. A change of one of them builds
again. `PATH` and `HOME` are used as they are when it is built.
""",
    attrs = {
        "flags": attr.string_list(
            doc = "Startup flags of the worker.",
        ),
    },
    environ = [
        "CARGO",
        "CARGO_HOME",
        "CARGO_TARGET_DIR",
        "PYLAYER_BINARY",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
    ],
)
