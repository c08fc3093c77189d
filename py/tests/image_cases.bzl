"""Images that cannot work, each with what its message has to say."""

load("//py:defs.bzl", "py_image_layer")
load(":analysis.bzl", "failure_test")

_CASES = {
    "both": (
        {"binaries": [":app"], "binary": ":app"},
        ["both binary and binaries"],
    ),
    "compress_level": (
        {"binary": ":app", "group_compress_levels": {"default": "10"}},
        ["group_compress_levels of group \"default\"", "\"10\"", "1 to 9"],
    ),
    "compress_level_group": (
        {"binary": ":app", "group_compress_levels": {"web": "6"}},
        ["group_compress_levels has the group \"web\"", "\"packages\""],
    ),
    "duplicate_launcher": (
        {"binaries": [":app", "//py/tests/binaries:app"]},
        ["two binaries have the name \"app\"", "//py/tests:app", "//py/tests/binaries:app", "/app/bin"],
    ),
    "empty": (
        {"binaries": []},
        ["binaries is empty"],
    ),
    "glob": (
        {"binary": ":app", "groups": {"@pip//torch:torch/lib/*.so*": "native"}},
        ["@pip//torch:torch/lib/*.so*", "belong to the tier", "py_layer_tier(groups = "],
    ),
    "group_name": (
        {"binary": ":app", "groups": {"testdata/lib.txt": "default"}},
        ["testdata/lib.txt", "\"default\" is taken"],
    ),
    "group_of_interpreter": (
        {"binary": ":app", "groups": {"testdata/lib.txt": "python"}, "layer_tier": "//py/tests/groups:tier"},
        ["\"python\"", "testdata/lib.txt", "//py/tests/groups:tier", "another name"],
    ),
    "group_of_split": (
        {"binary": ":app", "groups": {"testdata/lib.txt": "code"}, "layer_tier": "//py/tests/groups:tier"},
        ["\"code\"", "//py/tests/groups:tier"],
    ),
    "group_of_tier": (
        {"binary": ":app", "groups": {"testdata/lib.txt": "pair"}, "layer_tier": ":tier"},
        ["\"pair\"", "testdata/lib.txt", "//py/tests:tier", "another name"],
    ),
    "group_package": (
        {"binary": ":app", "groups": {":alpha": "mine"}},
        ["the pip package", "//py/tests:alpha", "belong to the tier"],
    ),
    "launcher_dir": (
        {"binaries": [":app"], "launcher_dir": "bin"},
        ["launcher_dir must be an absolute path", "\"bin\""],
    ),
    "negative_limit": (
        {"base_layers": -1, "binary": ":app"},
        ["base_layers must not be negative, got -1"],
    ),
    "neither": (
        {},
        ["neither binary nor binaries"],
    ),
    "not_executable": (
        {"binaries": [":lib"]},
        ["//py/tests:lib", "not executable"],
    ),
    "requirements_group": (
        {"binary": ":app", "group_execution_requirements": {"web": ["no-cache"]}},
        ["group_execution_requirements has the group \"web\"", "\"packages\"", "\"default\""],
    ),
}

def image_failure_tests(name):
    """A test for each case.

    Args:
      name: of the suite; the tests' names begin with it.
    """
    tests = []
    for case, (attributes, messages) in _CASES.items():
        image = "%s_%s_image" % (name, case)
        py_image_layer(
            name = image,
            **attributes
        )
        failure_test(
            name = "%s_%s" % (name, case),
            messages = ["py_image_layer ", image] + messages,
            target = image,
        )
        tests.append("%s_%s" % (name, case))
    native.test_suite(
        name = name,
        tests = tests,
    )
