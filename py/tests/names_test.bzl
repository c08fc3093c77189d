"""Tests of names, keys, paths and compressions: pure functions, from tables."""

load("//py/private:compression.bzl", "blob_suffix", "parse_compression")
load("//py/private:image_macro.bzl", "common_attributes")
load("//py/private:names.bzl", "first_party_key", "normalize", "package_of_label", "package_of_repository", "parse_key")
load("//py/private:paths.bzl", "relative_link", "runfiles_destination")
load("//py/private:toolchain.bzl", "flags_error")
load(":analysis.bzl", "expect_equal", "result")

_NORMALIZED = {
    "Flask": "flask",
    "a.-_b": "a-b",
    "typing_extensions": "typing-extensions",
    "zope.interface": "zope-interface",
}

_REPOSITORIES = {
    "aspect_rules_py++uv+whl_install__images__colorama__0_4_6": "colorama",
    "aspect_rules_py~~uv~whl_install__images__typing_extensions__4_1": "typing-extensions",
    "pip_numpy": "numpy",
    "pip_typing_extensions": "typing-extensions",
    "rules_python++pip+pypi_311_numpy": "numpy",
    "rules_python++pip+pypi_312_numpy_cp312_cp312_manylinux_2_17_x86_64_1a2b3c4d": "numpy",
    "rules_python~~pip~pypi_311_typing_extensions_py3_none_any_1a2b3c4d": "typing-extensions",
    "rules_python~~pip~pypi_39_six_sdist_1a2b3c4d": "six",
}

# Key -> package, first-party target, glob.
_KEYS = {
    "//lib": ("", "//lib:lib", None),
    "//lib:a*": None,
    "//lib:branding": ("", "//lib:branding", None),
    "//lib:data/logo.png": ("", "//lib:data/logo.png", None),
    "@": None,
    "@//": None,
    "@//lib:branding": ("", "//lib:branding", None),
    "@@//lib:branding": ("", "//lib:branding", None),
    "@@aspect_rules_py++uv+whl_install__images__colorama__0_4_6//:*.py": ("colorama", "", "*.py"),
    "@@aspect_rules_py++uv+whl_install__images__colorama__0_4_6//:actual_install": ("colorama", "", None),
    "@@rules_python++pip+pypi//x": ("x", "", None),
    "@@rules_python~~pip~pypi_311_numpy//:pkg": ("numpy", "", None),
    "@pip//Zope.Interface": ("zope-interface", "", None),
    "@pip//torch:*.so*": ("torch", "", "*.so*"),
    "@pip//torch:LICENSE": ("torch", "", "LICENSE"),
    "@pip//torch:pkg": ("torch", "", None),
    "@pip//torch:torch": ("torch", "", None),
    "@pip//torch:torch/**/*.{so,so.*}": ("torch", "", "torch/**/*.{so,so.*}"),
    "@pip//torch:torch/lib/*.so*": ("torch", "", "torch/lib/*.so*"),
    "@pypi//torch": ("torch", "", None),
    "torch": None,
}

_COMPRESSIONS = [
    (["gzip", "1"], "gzip:1", ".tar.gz"),
    (["gzip"], "gzip", ".tar.gz"),
    (["zstd", "22"], "zstd:22", ".tar.zst"),
    (["none"], "none", ".tar"),
    (["gzip", "0"], None, None),
    (["gzip", "10"], None, None),
    (["zstd", "23"], None, None),
    (["zstd", "-1"], None, None),
    (["none", "1"], None, None),
    (["xz", "6"], None, None),
    ([], None, None),
]

_LINKS = [
    ("/app.runfiles/a/b", "/app.runfiles/a/c", "c"),
    ("/app.runfiles/a/b", "/app.runfiles/c/d", "../c/d"),
    ("/app", "/app.runfiles/c", "app.runfiles/c"),
    ("/a/b/c/d", "/x", "../../../x"),
]

def _paths(failures):
    for prefix, short_path, wanted in [
        ("", "a/b.py", "/app.runfiles/_main/a/b.py"),
        ("", "../pip/b.py", "/app.runfiles/pip/b.py"),
        ("a", "a/b.py", "/app/b.py"),
        ("a", "ab/b.py", "/app.runfiles/_main/ab/b.py"),
        ("srv/server", "srv/server", "/app"),
        ("srv/server", "srv/server.py", "/app.runfiles/_main/srv/server.py"),
        ("srv", "srv/server.py", "/app/server.py"),
        ("../other/src", "../other/src/b.py", "/app/b.py"),
    ]:
        roots = struct(
            root = "/app",
            runfiles = "/app.runfiles",
            strip_prefix = prefix,
            workspace = "/app.runfiles/_main",
        )
        expect_equal(failures, "%s without %s" % (short_path, repr(prefix)), runfiles_destination(roots, short_path), wanted)

def _names_test_impl(_ctx):
    failures = []
    for name, wanted in _NORMALIZED.items():
        expect_equal(failures, "normalize(%s)" % name, normalize(name), wanted)
    for repository, wanted in _REPOSITORIES.items():
        expect_equal(failures, "package_of_repository(%s)" % repository, package_of_repository(repository), wanted)
    for key, wanted in _KEYS.items():
        parsed = parse_key(key)
        got = None if parsed.error else (parsed.package, parsed.target, parsed.glob)
        expect_equal(failures, "parse_key(%s)" % key, got, wanted)
    for setting, wanted, suffix in _COMPRESSIONS:
        compression, error = parse_compression(setting)
        expect_equal(failures, "parse_compression(%s)" % setting, (compression, error == None), (wanted, wanted != None))
        if compression:
            expect_equal(failures, "blob_suffix(%s)" % compression, blob_suffix(compression), suffix)
    for source, target, wanted in _LINKS:
        expect_equal(failures, "relative_link(%s, %s)" % (source, target), relative_link(source, target), wanted)
    _paths(failures)
    for label, wanted in [
        (Label("//wheels:numpy"), "numpy"),
        (Label("//wheels/typing_extensions:pkg"), "typing-extensions"),
    ]:
        expect_equal(failures, "package_of_label(%s)" % label, package_of_label(label), wanted)
    expect_equal(failures, "first_party_key", first_party_key(Label("//lib:branding")), "//lib:branding")
    expect_equal(failures, "first_party_key of another repository", first_party_key(Label("@bazel_tools//tools/python:toolchain_type")), None)

    for flags, wanted in [([], True), (["--cache-size=1GiB"], True), (["--jobs"], False), (["--jobs=1", "-x=1"], False), (["@flags"], False)]:
        expect_equal(failures, "flags_error(%s)" % flags, flags_error(flags) == None, wanted)

    # What no rule has is an error once, of the image.
    given = {"testonly": True, "visibility": ["//visibility:public"], "warn_layer_cuont": 5}
    expect_equal(failures, "common_attributes", common_attributes(given), {"testonly": True, "visibility": ["//visibility:public"]})
    return result(failures)

# Names, paths and compressions.
names_test = rule(
    implementation = _names_test_impl,
    analysis_test = True,
)
