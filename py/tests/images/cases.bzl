"""What py_image_layer tells of its layers, and images that cannot work."""

load("//py:defs.bzl", "PyImageLayersInfo", "py_image")
load("//py/tests:analysis.bzl", "expect_equal", "failure_test", "result", "target_of", "target_test")

def _layers_test_impl(ctx):
    failures = []
    target = target_of(ctx)
    info = target[PyImageLayersInfo]
    expect_equal(failures, "launchers", info.launchers, ctx.attr.launchers)
    expect_equal(failures, "blobs", [layer.blob for layer in info.layers], target[DefaultInfo].files.to_list())
    expect_equal(failures, "metadata", [layer.metadata for layer in info.layers], target[OutputGroupInfo].metadata.to_list())
    expect_equal(failures, "media types", [layer.media_type for layer in info.layers], ctx.attr.media_types)
    return result(failures)

# The provider of an image's layers.
layers_test = rule(**target_test(_layers_test_impl, {
    "launchers": attr.string_dict(mandatory = True),
    "media_types": attr.string_list(mandatory = True),
}))

_CASES = {
    "base": (
        {"base": ":one", "layers": [":one"]},
        ["base has to be an OCI image layout", "//py/tests/images:one has 5 files"],
    ),
    "both": (
        {"entrypoint": ["/app"], "launcher": "app", "layers": [":one"]},
        ["both entrypoint and launcher"],
    ),
    "launcher": (
        {"launcher": "server", "layers": [":several"]},
        ["no binary in its layers is named \"server\"", "\"app\", \"tool\""],
    ),
    "neither": (
        {},
        ["neither layers nor a base"],
    ),
    "no_launcher": (
        {"launcher": "app", "layers": ["config.tar"]},
        ["no binary in its layers is named \"app\"", "there are: none"],
    ),
    "several": (
        {"layers": [":several"]},
        ["several binaries", "launcher = ", "\"app\", \"tool\""],
    ),
    "two_launchers": (
        {"layers": [":one", "//py/tests:image"]},
        ["images:one", "//py/tests:image", "a launcher \"app\" at /srv/run", "`binaries`"],
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
        py_image(
            name = image,
            tags = ["manual"],
            **attributes
        )
        failure_test(
            name = "%s_%s" % (name, case),
            messages = ["py_image ", image] + messages,
            target = image,
        )
        tests.append("%s_%s" % (name, case))
    native.test_suite(
        name = name,
        tests = tests,
    )
