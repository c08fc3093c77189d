"""Real wheels, each in a repository of its own, and a hub, as rule sets have them.

| rule | as |
|---|---|
| `whl_install` | rules_py: `@whl_install__<project>__<package>__<version>//:actual_install` |
| `py_library` | rules_python: `@pypi_311_<package>//:pkg`, and the wheel itself as `:whl` |
| `py_unpacked_wheel` | rules_py's rule for a wheel that is not from a lockfile |

All are to be had from the hub, `@pypi`.
"""

_INSTALLED = """\
load("@e2e//rules:wheels.bzl", "{rule}")

{rule}(
    name = "{target}",
    src = "{wheel}",
    visibility = ["//visibility:public"],
    deps = {deps},
)
"""

_TAGGED = """\
load("@rules_python//python:defs.bzl", "py_library")

filegroup(
    name = "whl",
    srcs = ["{wheel}"],
    visibility = ["//visibility:public"],
)

py_library(
    name = "pkg",
    srcs = glob(["site-packages/**/*.py"]),
    data = glob(
        ["site-packages/**"],
        exclude = [
            "**/*.py",
            "**/*.dist-info/RECORD",
        ],
    ),
    imports = ["site-packages"],
    tags = ["pypi_name={name}"],
    visibility = ["//visibility:public"],
    deps = {deps},
)
"""

def _run(rctx, *command):
    result = rctx.execute(command, timeout = 600)
    if result.return_code:
        fail("%s: %s failed:\n%s%s" % (rctx.name, " ".join([str(word) for word in command]), result.stdout, result.stderr))
    return result.stdout.strip()

def _target(package, rule):
    return {
        "py_library": "pkg",
        "py_unpacked_wheel": package,
        "whl_install": "actual_install",
    }[rule]

def _pypi_wheel_impl(rctx):
    python = rctx.which("python3")
    hashes = [" --hash=sha256:" + digest for digest in rctx.attr.sha256]
    rctx.file("requirements.txt", "%s==%s%s\n" % (rctx.attr.package, rctx.attr.version, "".join(hashes)))
    _run(
        rctx,
        python,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--requirement=requirements.txt",
    )
    (wheel,) = [path.basename for path in rctx.path(".").readdir() if path.basename.endswith(".whl")]
    template = _INSTALLED
    if rctx.attr.rule == "py_library":
        _run(rctx, python, "-m", "zipfile", "-e", wheel, "site-packages")
        template = _TAGGED
    rctx.file("BUILD.bazel", template.format(
        deps = repr([str(dep) for dep in rctx.attr.deps]),
        name = rctx.attr.package,
        rule = rctx.attr.rule,
        target = _target(rctx.attr.package, rctx.attr.rule),
        wheel = wheel,
    ))

pypi_wheel = repository_rule(
    implementation = _pypi_wheel_impl,
    attrs = {
        "deps": attr.string_list(),
        "package": attr.string(mandatory = True),
        "rule": attr.string(
            mandatory = True,
            values = [
                "py_library",
                "py_unpacked_wheel",
                "whl_install",
            ],
        ),
        "sha256": attr.string_list(mandatory = True),
        "version": attr.string(mandatory = True),
    },
)

# For CPython 3.11 to 3.14 on Linux, x86_64 and aarch64, where that matters.
_WHEELS = {
    "blinker": ("whl_install", "1.9.0", [], [
        "ba0efaa9080b619ff2f3459d1d500c57bddea4a6b424b60a91141db6fd2f08bc",
    ]),
    "click": ("py_unpacked_wheel", "8.5.1", [], [
        "8bb5376d2006950386f8c6427613334a2acadc5f559cb80e638d00b4df957e37",
    ]),
    "idna": ("whl_install", "3.20", [], [
        "ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c",
    ]),
    "jinja2": ("whl_install", "3.1.6", ["@pypi//markupsafe:pkg"], [
        "85ece4451f492d0c13c5dd7c13a64681a86afae63a5f347908daf103ce6d2f67",
    ]),
    "markupsafe": ("py_library", "3.0.4", [], [
        "1caa2fa5a6184fb233153b35f654e6687bd555476f6170f29d8ee9be1a8b0af9",
        "434139499bb20b502ed3baa1f169e618f924a97e7a777fea1a49446d80106cf6",
        "6a45c3d514f2436064db00d7fc8778d888f0236ebfed649b53d13a59e69ad51b",
        "6da83a088f8ef93b2d483a8232a4dbf4d69d3d8496b568a03c56becac43e1808",
        "7018d4af1cd272e847aa5917983ab5e83e4f6579f9dbfecd4a79c0ca80b144c2",
        "849dd2bb0e5e4ab2b71c7191726a4a8d5aa8a610daa584728cbee0b710ddc4ef",
        "8e124f974786f831d6043728e38296969d3579db8896fe004682f5758e613581",
        "a8e9f292fcda89b324f2f5c91d13f1424a153e40fc2756f38ee23b15835ff300",
    ]),
    "werkzeug": ("whl_install", "3.1.9", ["@pypi//markupsafe:pkg"], [
        "6392e50c78460ba618e5b21f08a71f59c99ce99cdc6cf6e3dd7e6ccca8754fab",
    ]),
}

def _repository(package):
    rule, version, _, _ = _WHEELS[package]
    if rule == "whl_install":
        return "whl_install__e2e__%s__%s" % (package, version.replace(".", "_"))
    return "pypi_311_" + package

def _pypi_hub_impl(rctx):
    for package, actual in rctx.attr.packages.items():
        aliases = {package: actual, "pkg": actual}
        if actual.endswith(":pkg"):
            aliases["whl"] = actual[:-len("pkg")] + "whl"
        rctx.file(package + "/BUILD.bazel", "".join([
            'alias(name = "%s", actual = "%s", visibility = ["//visibility:public"])\n' % alias
            for alias in aliases.items()
        ]))

pypi_hub = repository_rule(
    implementation = _pypi_hub_impl,
    attrs = {"packages": attr.string_dict()},
)

def _pypi_impl(_module_ctx):
    pypi_hub(
        name = "pypi",
        packages = {
            package: "@%s//:%s" % (_repository(package), _target(package, _WHEELS[package][0]))
            for package in _WHEELS
        },
    )
    for package, (rule, version, deps, sha256) in _WHEELS.items():
        pypi_wheel(
            name = _repository(package),
            package = package,
            deps = deps,
            rule = rule,
            sha256 = sha256,
            version = version,
        )

pypi = module_extension(
    implementation = _pypi_impl,
    doc = "The hub, and a repository for each wheel.",
)
