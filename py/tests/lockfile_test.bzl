"""Tests of what a lockfile of prebuilt workers may say."""

load("//py/private:prebuilt.bzl", "lockfile_error")
load(":analysis.bzl", "result")

_DIGEST = "0123456789abcdef" * 4

_GOOD = {"workers": {"linux-x86_64": {"sha256": _DIGEST, "urls": ["https://example.com/pylayer"]}}}

# A checkout of pylayer has this one.
_EMPTY = {"workers": {}}

_VERSION = "1.2.3"

_BAD = [
    ([], "no \"workers\""),
    ({}, "no \"workers\""),
    ({"workers": []}, "no \"workers\""),
    ({"version": "1.2.4", "workers": {}}, "version 1.2.4"),
    ({"workers": {"beos-x86_64": {}}}, "\"beos-x86_64\""),
    ({"workers": {"linux-x86_64": {"sha256": _DIGEST}}}, "\"urls\""),
    ({"workers": {"linux-x86_64": {"sha256": _DIGEST, "urls": "https://example.com"}}}, "\"urls\""),
    ({"workers": {"linux-x86_64": {"urls": ["https://example.com"]}}}, "\"sha256\""),
    ({"workers": {"linux-x86_64": {"sha256": _DIGEST.upper(), "urls": ["https://example.com"]}}}, "\"sha256\""),
    ({"workers": {"linux-x86_64": {"sha256": "", "urls": ["https://example.com"]}}}, "\"sha256\""),
]

def _lockfile_test_impl(_ctx):
    failures = []
    for lock in [_GOOD, _EMPTY, _GOOD | {"version": _VERSION}]:
        if lockfile_error(lock, _VERSION):
            failures.append("a good lockfile is refused: %s" % lockfile_error(lock, _VERSION))
    for lock, wanted in _BAD:
        error = lockfile_error(lock, _VERSION) or "nothing"
        if wanted not in error:
            failures.append("%s: got %s, wanted %s" % (lock, error, wanted))
    return result(failures)

# Good and bad lockfiles.
lockfile_test = rule(
    implementation = _lockfile_test_impl,
    analysis_test = True,
)
