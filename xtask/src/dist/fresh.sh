#!/bin/sh
# fresh.sh ROOT FOLDER SCRIPT: runs a script in a root of Debian sid that has nothing of this
# machine but FOLDER, and neither cargo nor a compiler. Nothing is left in the root.
set -eu
exec unshare --mount --propagation private sh -euc '
root=$1 folder=$2 script=$3
mount --bind "$root" "$root"
for path in root home tmp var/tmp; do mount -t tmpfs none "$root/$path"; done
mkdir -p "$root$folder"
mount --bind "$folder" "$root$folder"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cd "$root"
mkdir -p tmp/old
pivot_root . tmp/old
umount -l /tmp/old
# Bazel came with a compiler; a file that cannot be run stands in its place.
for path in /usr/bin/*; do
    case ${path##*/} in
    cc|c++|c[89]9|c[89]9-gcc|cpp|cpp-*|gcc|gcc-*|g++|g++-*|clang*|as|ld|ld.bfd|ld.gold|*-linux-gnu-*)
        mount --bind /dev/null "$path" ;;
    esac
done
cd "$folder"
exec env -i HOME=/root PATH=/usr/bin:/bin LC_ALL=C.UTF-8 sh -eu "$script"
' fresh "$@"
