#!/bin/sh
# enter.sh ROOT COMMAND...: runs a command in a root that has this machine's folders of users,
# projects, and temporary files at their own places. pivot_root, not chroot: in a chroot
# linux-sandbox has no user namespaces. Toolchains are read-only: no build may change them.
set -eu
exec unshare --mount --propagation private sh -euc '
root=$1; shift
export HOME="${HOME:-/root}"
directory=$(pwd -P)
mount --bind "$root" "$root"
for path in /* /var/tmp; do
    case $path in
    /bin|/sbin|/lib*|/usr|/etc|/var|/proc|/sys|/dev|/run|/boot|/lost+found) continue ;;
    esac
    if [ -d "$path" ] && [ ! -L "$path" ]; then
        mkdir -p "$root$path"
        mount --rbind "$path" "$root$path"
    fi
done
# Puts a file or a folder of this machine at its own place, read-only.
read_only() {
    [ -e "$1" ] || return 0
    if [ ! -e "$root$1" ]; then
        mkdir -p "$root${1%/*}"
        if [ -d "$1" ]; then mkdir "$root$1"; else : >"$root$1"; fi
    fi
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
}
rustup=${RUSTUP_HOME:-$HOME/.rustup}
read_only "$rustup"
read_only "${CARGO_HOME:-$HOME/.cargo}/bin"
# A rust-toolchain.toml would have rustup fetch another toolchain.
if [ -z "${RUSTUP_TOOLCHAIN:-}" ] && command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN=$(rustup show active-toolchain 2>/dev/null | cut -d" " -f1) || true
    [ -z "$RUSTUP_TOOLCHAIN" ] || export RUSTUP_TOOLCHAIN
fi
# The wheels that builds install are for the Python of this machine; that of sid is too new for some.
set -- "$(python3 -c "import os, sys
print(os.path.realpath(sys.executable), \"python%d.%d\" % sys.version_info[:2])")" "$@"
python=${1% *} library=${1##* }
shift
prefix=${python%/bin/*}
case $prefix in
/usr|/usr/local)
    read_only "$python"
    read_only "$prefix/lib/$library"
    # Debian has links to there.
    read_only "/etc/$library"
    for file in "$prefix"/lib/lib"$library".so*; do read_only "$file"; done
    link=$root/usr/local/bin/python3
    if [ "$(readlink "$link")" != "$python" ]; then
        ln -s "$python" "$link.$$"
        mv -f "$link.$$" "$link"
    fi
    ;;
*) read_only "$prefix" ;;
esac
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
cd "$directory"
# Debian builds of Bazel crash where file names are ASCII only.
export LC_ALL=C.UTF-8
exec "$@"
' enter "$@"
