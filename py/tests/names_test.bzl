"""Tests of names.bzl, paths.bzl and compression.bzl: pure functions, from a table."""

load("//py/private:compression.bzl", "blob_suffix", "parse_compression")
load("//py/private:names.bzl", "normalize", "package_of_label", "package_of_repository", "parse_key")
load("//py/private:paths.bzl", "relative_link", "runfiles_destination")
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

_KEYS = {
    "//lib:branding": (None, None),
    "@//lib:branding": (None, None),
    "@@rules_python++pip+pypi//x": ("x", None),
    "@@rules_python~~pip~pypi_311_numpy//:pkg": ("numpy", None),
    "@pip//Zope.Interface": ("zope-interface", None),
    "@pip//torch:*.so*": ("torch", "*.so*"),
    "@pip//torch:LICENSE": ("torch", "LICENSE"),
    "@pip//torch:pkg": ("torch", None),
    "@pip//torch:torch": ("torch", None),
    "@pip//torch:torch/lib/*.so*": ("torch", "torch/lib/*.so*"),
    "@pypi//torch": ("torch", None),
    "torch": (None, None),
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

def _names_test_impl(_ctx):
    failures = []
    for name, wanted in _NORMALIZED.items():
        expect_equal(failures, "normalize(%s)" % name, normalize(name), wanted)
    for repository, wanted in _REPOSITORIES.items():
        expect_equal(failures, "package_of_repository(%s)" % repository, package_of_repository(repository), wanted)
    for key, (package, glob) in _KEYS.items():
        parsed = parse_key(key)
        expect_equal(failures, "parse_key(%s)" % key, (None if parsed.error else parsed.package, parsed.glob), (package, glob))
    for setting, wanted, suffix in _COMPRESSIONS:
        compression, error = parse_compression(setting)
        expect_equal(failures, "parse_compression(%s)" % setting, (compression, error == None), (wanted, wanted != None))
        if compression:
            expect_equal(failures, "blob_suffix(%s)" % compression, blob_suffix(compression), suffix)
    for source, target, wanted in _LINKS:
        expect_equal(failures, "relative_link(%s, %s)" % (source, target), relative_link(source, target), wanted)
    roots = struct(runfiles = "/app.runfiles", workspace = "/app.runfiles/_main")
    expect_equal(failures, "main repository", runfiles_destination(roots, "a/b.py"), "/app.runfiles/_main/a/b.py")
    expect_equal(failures, "another repository", runfiles_destination(roots, "../pip/b.py"), "/app.runfiles/pip/b.py")
    for label, wanted in [
        (Label("//wheels:numpy"), "numpy"),
        (Label("//wheels/typing_extensions:pkg"), "typing-extensions"),
    ]:
        expect_equal(failures, "package_of_label(%s)" % label, package_of_label(label), wanted)
    return result(failures)

# Names, paths and compressions.
names_test = rule(
    implementation = _names_test_impl,
    analysis_test = True,
)
