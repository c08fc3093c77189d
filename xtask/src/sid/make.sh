#!/bin/sh
# make.sh ROOT MIRROR: makes a Debian sid root with Bazel in it. Needs root and debootstrap.
set -eu
root=$1 mirror=$2
step() { echo "sid root: $*" >&2; }

step "a minimal system from $mirror"
debootstrap --variant=minbase sid "$root" "$mirror" >"$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    exit 1
}
# What this machine needs to reach its mirror, packages in Debian and on PyPI among it.
for file in /etc/apt/apt.conf.d/99* /etc/resolv.conf /etc/pip.conf; do
    [ -e "$file" ] && cp -L "$file" "$root$file"
done
mkdir -p "$root/usr/local/share/ca-certificates"
for file in /usr/local/share/ca-certificates/*.crt; do
    [ -e "$file" ] && cp "$file" "$root/usr/local/share/ca-certificates/"
done
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
step "Bazel"
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
    --no-install-recommends bazel-bootstrap ca-certificates libarchive-tools python3-pip >>"$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    exit 1
}
chroot "$root" update-ca-certificates >>"$root.log" 2>&1
chroot "$root" apt-get clean

# Modules come from Debian's packages, and from stand-ins where it has none: no registry is asked.
modules=$root/usr/share/pylayer/modules
mkdir -p "$modules/registry" "$modules/apple_support/platforms"
echo '{}' >"$modules/registry/bazel_registry.json"
for name in protobuf zlib; do
    mkdir -p "$modules/$name"
    echo "module(name = \"$name\", version = \"0\")" >"$modules/$name/MODULE.bazel"
    : >"$modules/$name/BUILD.bazel"
done
echo 'module(name = "apple_support", version = "0")' >"$modules/apple_support/MODULE.bazel"
: >"$modules/apple_support/BUILD.bazel"
cat >"$modules/apple_support/platforms/BUILD.bazel" <<'BUILD'
[
    platform(
        name = name,
        constraint_values = ["@platforms//os:osx"],
        visibility = ["//visibility:public"],
    )
    for name in [
        system + "_" + machine
        for system, machines in {
            "darwin": ["x86_64", "arm64", "arm64e"],
            "ios": ["x86_64", "arm64", "sim_arm64", "arm64e"],
            "tvos": ["sim_arm64", "arm64", "x86_64"],
            "visionos": ["arm64", "sim_arm64"],
            "watchos": ["x86_64", "arm64", "arm64_32", "armv7k", "device_arm64", "device_arm64e"],
        }.items()
        for machine in machines
    ]
]
BUILD
mkdir -p "$modules/buildozer"
: >"$modules/buildozer/BUILD.bazel"
cat >"$modules/buildozer/MODULE.bazel" <<'MODULE'
module(name = "buildozer", version = "0")
MODULE
cat >"$modules/buildozer/buildozer_binary.bzl" <<'BZL'
def _empty_impl(ctx):
    ctx.file("BUILD.bazel", "")

_empty = repository_rule(implementation = _empty_impl)

def _impl(_module_ctx):
    _empty(name = "buildozer_binary")

buildozer_binary = module_extension(implementation = _impl)
BZL
{
    echo "common --registry=file:///usr/share/pylayer/modules/registry --lockfile_mode=off --noenable_workspace"
    for name in platforms bazel_features; do
        echo "common --override_module=$name=/usr/share/bazel/tools/${name#bazel_}"
    done
    echo "common --override_module=bazel_skylib=/usr/share/bazel/tools/skylib"
    for name in cc java license proto python; do
        echo "common --override_module=rules_$name=/usr/share/bazel/rules/$name"
    done
    for name in protobuf zlib apple_support buildozer; do
        echo "common --override_module=$name=/usr/share/pylayer/modules/$name"
    done
} >"$root/etc/bazel.bazelrc"
step "done"
