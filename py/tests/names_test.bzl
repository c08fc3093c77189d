"""Tests of names, keys, globs, paths and compressions: pure functions, from tables."""

load("//py/private:compat.bzl", "repository_name")
load("//py/private:compression.bzl", "blob_suffix", "parse_compression")
load("//py/private:globs.bzl", "glob_matches", "ships")
load("//py/private:names.bzl", "first_party_key", "normalize", "package_of_label", "package_of_repository", "parse_key")
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

# As in the worker: src/layer/filter.rs has the same table.
_GLOBS = [
    ("*.so*", "torch/lib/libc10.so", True),
    ("*.so", "libc10.so.1", False),
    ("*.so*", "torch/__init__.py", False),
    ("torch/lib/*.so", "torch/lib/libc10.so", True),
    ("./torch/lib/*.so", "torch/lib/libc10.so", True),
    ("/torch/lib/*.so", "torch/lib/libc10.so", True),
    ("lib/*.so", "torch/lib/libc10.so", False),
    ("**/*.so", "torch/lib/libc10.so", True),
    ("**/*.so", "libc10.so", True),
    ("**/lib/*", "torch/lib/libc10.so", True),
    ("torch/*.so", "torch/lib/libc10.so", False),
    ("torch/**", "torch/lib/libc10.so", True),
    ("torch/**", "torch", False),
    ("torch/**/libc10.so", "torch/libc10.so", True),
    ("torch/**/**/libc10.so", "torch/a/b/libc10.so", True),
    ("torch/{lib,bin}/*", "torch/lib/libc10.so", True),
    ("torch/{a,{b,lib}}/*.{py,so}", "torch/lib/libc10.so", True),
    ("torch/{a,b}/*", "torch/lib/libc10.so", False),
    ("torch/[a-l]ib/*", "torch/lib/libc10.so", True),
    ("torch/[!a-k]ib/*", "torch/lib/libc10.so", True),
    ("torch/[!a-l]ib/*", "torch/lib/libc10.so", False),
    ("torch/?ib/*.so", "torch/lib/libc10.so", True),
    ("torch?lib/*.so", "torch/lib/libc10.so", False),
    ("a\\*b", "a*b", True),
    ("a\\*b", "axb", False),
    ("[]]", "]", True),
    ("a*b*c", "axxbyyc", True),
    ("a*b*c", "axxbyy", False),
]

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
    for pattern, path, wanted in _GLOBS:
        expect_equal(failures, "glob_matches(%s, %s)" % (path, pattern), glob_matches(path, pattern), wanted)
    installed = "../pip_torch/site-packages/torch/lib/a.so"
    for include, exclude, wanted in [
        ([], [], True),
        (["torch/lib/*"], [], True),
        (["torch/lib/*"], ["*.so"], False),
        ([], ["*.so"], False),
        (["*.py"], [], False),
    ]:
        expect_equal(failures, "ships(%s, %s)" % (include, exclude), ships(installed, include, exclude), wanted)
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
    expect_equal(failures, "first_party_key", first_party_key(Label("//lib:branding")), None if repository_name(Label("//lib:branding")) else "//lib:branding")
    return result(failures)

# Names, paths and compressions.
names_test = rule(
    implementation = _names_test_impl,
    analysis_test = True,
)
