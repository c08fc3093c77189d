"""Tiers that cannot work, each with what its message has to say."""

load("//py:defs.bzl", "py_layer_tier")
load(":analysis.bzl", "failure_test")

_CASES = {
    "algorithm": (
        {"compression": {"g": ["xz", "6"]}},
        ["compression of group \"g\"", "unknown algorithm \"xz\"", "zstd (1 to 22)"],
    ),
    "default_level": (
        {"default_compression": ["gzip", "10"]},
        ["default_compression", "level \"10\"", "1 to 9"],
    ),
    "first_party": (
        {"groups": {"//lib:branding": "g"}},
        ["//lib:branding", "`@pip//package`"],
    ),
    "glob": (
        {"groups": {"@pip//torch:torch/lib/*.so*": "g"}},
        ["torch/lib/*.so*", "not yet supported", "\"@pip//torch\""],
    ),
    "group": (
        {"group": "staff"},
        ["group must be a numeric id", "\"staff\""],
    ),
    "group_name": (
        {"groups": {"@pip//a": "a/b"}},
        ["group \"a/b\"", "file names"],
    ),
    "level": (
        {"compression": {"g": ["zstd", "23"]}},
        ["level \"23\"", "zstd", "1 to 22"],
    ),
    "owner": (
        {"owner": "nobody"},
        ["owner must be a numeric id", "\"nobody\""],
    ),
    "root": (
        {"root": "app"},
        ["root must be an absolute path", "\"app\""],
    ),
    "setting": (
        {"compression": {"g": ["zstd", "3", "long"]}},
        ["[algorithm, level]"],
    ),
    "testonly": (
        {"testonly": True},
        ["testonly"],
    ),
    "two_groups": (
        {"groups": {"@pip//Some.Package": "a", "@pypi//some_package": "b"}},
        ["some-package", "@pip//Some.Package", "@pypi//some_package"],
    ),
}

def tier_failure_tests(name):
    """A test for each case.

    Args:
      name: of the suite; the tests' names begin with it.
    """
    tests = []
    for case, (attributes, messages) in _CASES.items():
        tier = "%s_%s_tier" % (name, case)
        py_layer_tier(
            name = tier,
            tags = ["manual"],
            **attributes
        )
        failure_test(
            name = "%s_%s" % (name, case),
            messages = ["py_layer_tier ", tier] + messages,
            target = tier,
        )
        tests.append("%s_%s" % (name, case))
    native.test_suite(
        name = name,
        tests = tests,
    )
