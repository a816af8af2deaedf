#!/bin/bash
# try_image.sh FOLDER: build the image of the Dockerfile without a container engine and without a registry, and run it as compose.yaml
# does: read-only root, no capabilities, user 10001. As root on Debian, with buildah and debootstrap; FOLDER gets about 2 GB, and its
# base system is used again. It takes some minutes, most of them for packages.
#   DESK_TRY_CA=FILE   one more certificate authority to believe, where a proxy reads what is downloaded
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "$1")
mkdir -p "$work"
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot

say() { printf '\n── %s\n' "$1"; }

make_base() {
    [ -f "$work/base/.whole" ] && return
    say "a bare Debian 12"
    rm -rf "$work/base"
    debootstrap --variant=minbase bookworm "$work/base" >"$work/debootstrap.log"
    rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/* # as in debian:…-slim
    touch "$work/base/.whole"
}

build() {
    say "the image"
    local container folder
    container=$(buildah from scratch)
    folder=$(buildah mount "$container")
    cp -a "$work/base/." "$folder"
    if [ -n "${DESK_TRY_CA:-}" ]; then
        mkdir -p "$folder/usr/local/share/ca-certificates"
        cp "$DESK_TRY_CA" "$folder/usr/local/share/ca-certificates/try.crt"
        buildah config --env PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$container"
    fi
    buildah umount "$container" >/dev/null
    buildah commit -q "$container" localhost/debian:bare >/dev/null
    buildah rm "$container" >/dev/null
    time buildah bud -q --pull=false --format docker --build-arg BASE=localhost/debian:bare \
        --build-arg VERSION="$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/pyproject.toml")" \
        -t localhost/thuesim-desk:try "$source"
}

# in_image COMMAND …: as a container engine starts it, without a network of its own.
in_image() {
    unshare --mount --pid --ipc --uts --fork --kill-child bash -euc '
        root=$1 data=$2
        shift 2
        mount --bind "$root" "$root"
        mount -o remount,bind,ro "$root"
        mount --bind "$data" "$root/data"
        mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/tmp"
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o size=64k,mode=755 tmpfs "$root/dev"
        for device in null zero random urandom; do
            mknod -m 666 "$root/dev/$device" c $(stat -c "0x%t 0x%T" "/dev/$device")
        done
        cd /
        exec chroot "$root" /usr/bin/env -i DESK_DATA_DIR=/data HOST=127.0.0.1 PORT='"$port"' TMPDIR=/data PYTHONDONTWRITEBYTECODE=1 \
            PATH=/opt/desk/.venv/bin:/usr/local/bin:/usr/bin:/bin \
            setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
            sh -c "cd /opt/desk && exec \"\$@\"" sh "$@"
    ' bash "$root" "$work/data" "$@"
}

make_base
build
say "its size"
container=$(buildah from --pull=false localhost/thuesim-desk:try)
root=$(buildah mount "$container")
trap 'buildah umount "$container" >/dev/null; buildah rm "$container" >/dev/null' EXIT
for folder in "$root" "$root/opt/desk" "$root/opt/desk/.venv"; do
    du -sm "$folder" | sed "s|$root|/|; s|//|/|"
done
say "nothing in it may be written by its user, and no key is in it"
rm -rf "$work/data"
mkdir "$work/data"
chown 10001:10001 "$work/data"
chmod 700 "$work/data"
port=18000
if in_image sh -c 'touch /opt/desk/x || touch /x || touch /usr/x' 2>/dev/null; then
    echo "it could be written" && exit 1
fi
[ -z "$(find "$root" -xdev \( -name secret_key -o -name token_key -o -name .env -o -name '*-password' \) -path '*desk*')" ]
[ -z "$(find "$root" -xdev -perm /6000 -type f)" ]
say "the demo, as one container"
in_image python -m thuesim_site.start.supervise all >"$work/run.log" 2>&1 &
desk=$!
for _ in $(seq 120); do
    in_image python -m thuesim_site.start.health >/dev/null 2>&1 && break
    sleep 1
done
in_image python -m thuesim_site.start.health
cat "$work/run.log"
kill -TERM $desk
wait $desk || true
say "done"
