#!/bin/sh
# The steps of the image, for the Dockerfile and for any bare Debian 12, as root:
#   build.sh build SOURCE   makes /opt/desk from a checkout: packages by hash, static files, compiled Python; and pg_dump in /opt/postgresql
#   build.sh desk SOURCE    the same where its Debian packages are there already; the tests make it below another folder, DESK_PREFIX
#   build.sh base           makes a machine that can run /opt/desk: Python, the user desk (10001), its folders
# No step needs a secret or leaves one behind.
set -eu

DESK=${DESK_PREFIX:-/opt}/desk
POSTGRESQL=${DESK_PREFIX:-/opt}/postgresql
UID_OF_DESK=10001

packages() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt
}

build() {
    packages ca-certificates python3 python3-venv postgresql-client
    desk "$1"
}

# install_lock LOCK: by UV where that names one, which takes what this machine has loaded before.
install_lock() {
    if [ -n "${UV:-}" ] && "$UV" pip install -q --python "$DESK/.venv/bin/python" --require-hashes -r "$1" 2>/dev/null; then
        return
    fi
    "$DESK/.venv/bin/python" -m pip --version >/dev/null 2>&1 || "$DESK/.venv/bin/python" -m ensurepip >/dev/null
    "$DESK/.venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --no-cache-dir --no-compile \
        --require-hashes -r "$1"
}

desk() {
    rm -rf "$DESK"
    mkdir -p "$DESK"
    for name in accounts api lib locale locale_libraries pages rentals sandbox static templates thuesim thuesim_site \
        docs manage.py pyproject.toml LICENSE CHANGELOG.md sbom.cdx.json; do
        cp -R "$1/$name" "$DESK/"
    done
    find "$DESK" \( -name tests -o -name __pycache__ \) -type d -prune -exec rm -rf {} +
    install -d "$DESK/deploy"
    install -m 755 "$1/deploy/backup.sh" "$DESK/deploy/"
    /usr/bin/python3 -m venv ${UV:+--without-pip} "$DESK/.venv"
    for lock in requirements requirements-s3; do
        install_lock "$1/$lock.lock"
    done
    # Not needed to run: what installs, 30 MB of other services than S3, 40 MB of other languages.
    site=$(echo "$DESK"/.venv/lib/python3*/site-packages)
    (cd "$site" && rm -rf pip pip-* setuptools* pkg_resources _distutils_hack distutils-precedence.pth)
    find "$site/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name s3 -exec rm -rf {} +
    find "$site" -path '*/locale/*' -type d ! -path '*/locale/vi*' ! -path '*/locale/en*' -prune -exec rm -rf {} +
    "$DESK/.venv/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$DESK"
    scratch=$(mktemp -d)
    DESK_DATA_DIR=$scratch "$DESK/.venv/bin/python" "$DESK/manage.py" collectstatic --no-input -v 0
    mv "$scratch/demo/static" "$DESK/collected"
    rm -rf "$scratch" # with the keys that this start made
    mkdir -p "$POSTGRESQL"
    cp /usr/lib/postgresql/*/bin/pg_dump /usr/lib/postgresql/*/bin/pg_restore "$POSTGRESQL/"
    chmod -R a+rX,go-w "$DESK" "$POSTGRESQL"
}

base() {
    packages python3 libpq5 liblz4-1 libzstd1 zlib1g ca-certificates tzdata
    rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/lintian
    find / -xdev -perm /6000 -type f -exec chmod a-s {} + # su, mount and the like: nobody here becomes another
    groupadd --gid $UID_OF_DESK desk
    useradd --uid $UID_OF_DESK --gid desk --no-create-home --home-dir /data --shell /usr/sbin/nologin desk
    folders
}

folders() {
    for folder in /data /files /backups; do
        mkdir -p $folder
        chown desk:desk $folder
        chmod 700 $folder
    done
}

"$@"
