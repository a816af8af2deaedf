# Sourced by ./run and ./test: makes .venv and installs what a lock file names in it, if that has changed.

fail() {
    echo "$(basename "$0"): $1" >&2
    exit "${2:-1}"
}

# The system's own Python goes first: it is the one of the image, and Debian builds it with profile-guided optimization.
# Without that, as pyenv compiles one, the desk takes half as much time again. PYTHON=python3.13 chooses another.
find_python() {
    unfinished=
    for python in ${PYTHON:-} /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11 python; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
        if "$python" -c 'import ensurepip, venv' 2>/dev/null || { may_install_packages && install_packages "$package"; }; then
            return
        fi
        unfinished=${unfinished:-$package}
    done
    [ -z "$unfinished" ] || fail "Python's venv module is not complete; install it (on Debian: apt-get install $unfinished)."
    fail "Python 3.11 or newer is needed; install it (on Debian: apt-get install python3 python3-venv)."
}

make_venv() {
    find_python
    "$python" -m venv --clear .venv || fail "the virtual environment .venv could not be made."
}

may_install_packages() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

install_packages() {
    echo "Installing $* …"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null && return
    echo "$(basename "$0"): apt-get could not install $*." >&2
    return 1
}

# install_by_uv LOCK: in seconds what takes pip most of a minute. uv itself is the one that requirements-dev.lock names. It reads
# no settings of pip, such as another index, so where it fails, nothing is said and pip is asked.
install_by_uv() {
    sed -n '/^uv==/,/[^\\]$/p' requirements-dev.lock |
        .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r /dev/stdin &&
        UV_HTTP_RETRIES=0 .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$1"
} 2>/dev/null

# ensure_venv LOCK: the packages of LOCK are installed afterwards, each with one of the hashes that LOCK has for it.
ensure_venv() {
    stamp=.venv/installed-$1
    if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        make_venv
    fi
    wanted=$(cksum <"$1")
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
            make_venv # an earlier attempt was cut off
        fi
        echo "Installing the packages of $1 into .venv …"
        install_by_uv "$1" ||
            .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r "$1" ||
            fail "the packages of $1 could not be installed; the reason stands above."
        echo "$wanted" >"$stamp"
    fi
}
