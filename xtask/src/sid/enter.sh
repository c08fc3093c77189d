#!/bin/sh
# enter.sh ROOT COMMAND...: runs a command in a root that has this machine's folders of users,
# projects, and temporary files at their own places. pivot_root, not chroot: in a chroot
# linux-sandbox has no user namespaces. Toolchains are read-only: no build may change them.
set -eu
exec unshare --mount --propagation private sh -euc '
root=$1; shift
directory=$(pwd -P)
mount --bind "$root" "$root"
bind() { mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; }
for path in /* /var/tmp; do
    case $path in
    /bin|/sbin|/lib*|/usr|/etc|/var|/proc|/sys|/dev|/run|/boot|/lost+found) continue ;;
    esac
    [ -d "$path" ] && [ ! -L "$path" ] && bind "$path"
done
for path in "${RUSTUP_HOME:-$HOME/.rustup}" "${CARGO_HOME:-$HOME/.cargo}/bin"; do
    [ -d "$path" ] || continue
    mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
done
# The wheels that builds install are for the Python of this machine; that of sid is too new for some.
python=$(readlink -f "$(command -v python3)")
case $python in
/usr/bin/python3.*)
    if [ ! -e "$root$python" ]; then
        touch "$root$python"
        mkdir -p "$root/usr/lib/${python##*/}"
        ln -sf "$python" "$root/usr/local/bin/python3"
    fi
    mount --bind "$python" "$root$python"
    mount --bind "/usr/lib/${python##*/}" "$root/usr/lib/${python##*/}"
    ;;
esac
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
cd "$directory"
exec "$@"
' enter "$@"
