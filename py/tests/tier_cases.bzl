"""Tiers that cannot work, each with what its message has to say."""

load("//py:defs.bzl", "py_layer_tier")
load(":analysis.bzl", "failure_test")

_CASES = {
    "algorithm": (
        {"compression": {"g": ["xz", "6"]}},
        ["compression of group \"g\"", "unknown algorithm \"xz\"", "zstd (1 to 22)"],
    ),
    "base_directories": (
        {"base_directories": ["opt/python"]},
        ["base_directories must be absolute", "\"opt/python\""],
    ),
    "default_level": (
        {"default_compression": ["gzip", "10"]},
        ["default_compression", "level \"10\"", "1 to 9"],
    ),
    "exclude_first_party": (
        {"exclude": {"//lib:branding": ["*.py"]}},
        ["exclude has the key \"//lib:branding\"", "`@pip//package`, or `*`"],
    ),
    "exclude_nothing": (
        {"exclude": {"*": []}},
        ["exclude of \"*\"", "an empty pattern, or none"],
    ),
    "exclude_pattern_in_key": (
        {"exclude": {"@pip//torch:*.so": ["*.py"]}},
        ["exclude has the key \"@pip//torch:*.so\"", "the patterns are its value"],
    ),
    "first_party_pattern": (
        {"groups": {"//lib:*.png": "g"}},
        ["//lib:*.png", "only the files of a package", "as a whole"],
    ),
    "first_party_with_package": (
        {"groups": {"//lib:branding": "g", "@pip//flask": "g"}},
        ["//lib:branding", "the package flask", "a group of its own"],
    ),
    "group": (
        {"group": "staff"},
        ["group must be a numeric id", "\"staff\""],
    ),
    "group_name": (
        {"groups": {"@pip//a": "a/b"}},
        ["group \"a/b\"", "file names"],
    ),
    "interpreter_group_name": (
        {"interpreter_group": "py/thon"},
        ["interpreter_group", "\"py/thon\"", "file names"],
    ),
    "interpreter_group_taken": (
        {"groups": {"@pip//numpy": "python"}, "interpreter_group": "python"},
        ["the package numpy", "\"python\"", "the Python interpreter"],
    ),
    "key": (
        {"groups": {"numpy": "g"}},
        ["\"numpy\"", "`@pip//package`", "`//folder:target`"],
    ),
    "level": (
        {"compression": {"g": ["zstd", "23"]}},
        ["level \"23\"", "zstd", "1 to 22"],
    ),
    "owner": (
        {"owner": "nobody"},
        ["owner must be a numeric id", "\"nobody\""],
    ),
    "reserved": (
        {"groups": {"@pip//numpy": "default"}},
        ["@pip//numpy", "\"default\" is taken"],
    ),
    "root": (
        {"root": "app"},
        ["root must be an absolute path", "\"app\""],
    ),
    "setting": (
        {"compression": {"g": ["zstd", "3", "long"]}},
        ["[algorithm, level]"],
    ),
    "split_and_merged": (
        {"groups": {"@pip//flask": "web", "@pip//torch": "web", "@pypi//torch:*.so": "native"}},
        ["the package torch", "\"web\"", "(flask)", "\"*.so\"", "a group of its own"],
    ),
    "split_into_itself": (
        {"groups": {"@pip//torch": "torch", "@pip//torch:*.so": "torch"}},
        ["the package torch", "*.so", "the same group \"torch\""],
    ),
    "strip_prefix": (
        {"strip_prefix": "a/../b"},
        ["strip_prefix", "\"a/../b\""],
    ),
    "strip_prefix_absolute": (
        {"strip_prefix": "/a"},
        ["strip_prefix", "\"/a\""],
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
