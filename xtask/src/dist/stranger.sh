# What a user does who has a release's files and Bazel, but neither Rust nor a compiler. Runs in the
# folder that has `dist` (the release), `tree` (a package), `workspace`, `expected` (the layer of
# the tree), and `other` (another build of the worker).
for program in cargo rustc rustup cc gcc c++ clang; do
    if command -v "$program"; then echo "$program is here" >&2; exit 1; fi
done
here=$PWD

echo "at a shell"
(cd dist && sha256sum --check --quiet --strict SHA256SUMS)
install dist/pylayer-*-linux-x86_64 /tmp/pylayer
/tmp/pylayer layer --output=/tmp/layer.tar.gz --package=tree --tree=tree --to=app
cmp /tmp/layer.tar.gz expected

# Builds the image; copies its layers and their metadata to a folder.
build() {
    folder=$1; shift
    bazel --nohome_rc build --color=no --curses=no --nosandbox_debug --noshow_progress "$@" \
        --symlink_prefix=/tmp/bazel- --output_groups=+metadata //:image
    mkdir "$folder"
    cp /tmp/bazel-bin/image_* "$folder"
}
cd workspace
trap 'bazel --nohome_rc shutdown' EXIT
echo "with Bazel, by the worker of the lockfile"
build /tmp/one
external=$(bazel --nohome_rc info output_base)/external
ls "$external" >/tmp/repositories
grep -q pylayer_prebuilt_linux_x86_64 /tmp/repositories
if grep pylayer_host_cargo /tmp/repositories; then echo "cargo was asked for" >&2; exit 1; fi
# PYLAYER_BINARY goes before the lockfile; the bytes are the same.
echo "with Bazel, by another worker"
build /tmp/two --repo_env=PYLAYER_BINARY="$here/other" --nouse_action_cache
ls "$external" | grep -q pylayer_host_cargo
[ -n "$(ls /tmp/one)" ]
diff -r /tmp/one /tmp/two

# What MODULE.bazel says counts, and an error says what is wrong.
refused() {
    echo "with Bazel: $1"
    if bazel --nohome_rc build --color=no --curses=no --nobuild //:image 2>/tmp/said; then exit 1; fi
    grep -q "$1" /tmp/said || { cat /tmp/said >&2; exit 1; }
}
cat >>MODULE.bazel <<'EOF'

pylayer = use_extension("@pylayer//py:extensions.bzl", "pylayer")
pylayer.from_source()
EOF
refused "no cargo to build the worker with"
echo '{"version": "0.0.1", "workers": {}}' >other.json
sed -i 's|from_source()|prebuilt(lockfile = "//:other.json")|' MODULE.bazel
refused "it is for version 0.0.1, and these are the rules of version"
