#!/usr/bin/env bash
# Prepares a fresh Debian or Ubuntu machine, without changing more of it than it must:
# checks the compilers, finds or fetches nasm, makes .venv. The Makefile calls it, once.
#
#   bootstrap.sh tools    cargo, a C compiler and nasm
#   bootstrap.sh venv     .venv with pip
#
# PYTHON=python3.13        the interpreter to make .venv with
# ARRAYSTORE_NO_ROOT=1     never install Debian packages, even if we could
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$PWD/.build/tools

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
fail() {
    printf '\nerror: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# ---- Debian packages, with and without root ----

as_root() {
    if [ -n "${ARRAYSTORE_NO_ROOT:-}" ] || ! have apt-get; then
        return 1
    elif [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# apt_install PACKAGE...: installs with root; says nothing and fails without.
apt_install() {
    as_root true || return 1
    say "installing $* (Debian package)"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@")
    as_root "${install[@]}" >.build/apt.log 2>&1 && return 0
    as_root apt-get update -q >>.build/apt.log 2>&1 && as_root "${install[@]}" >>.build/apt.log 2>&1 && return 0
    sed 's/^/    /' .build/apt.log >&2
    return 1
}

# apt_unpack PACKAGE: unpacks it under .build/tools; needs no root, not even up-to-date lists.
apt_unpack() {
    have apt-get && have dpkg-deb || return 1
    say "unpacking $1 into .build/tools (Debian package, without root)"
    local own=$PWD/.build/apt into=$PWD/.build/debs
    rm -rf "$into" && mkdir -p "$into" "$own/lists/partial" "$own/cache/archives/partial"
    # As root, apt drops its rights to a user who may not be able to write here.
    local opts=(-q -o APT::Sandbox::User="$(id -un)")
    local private=("${opts[@]}" -o Dir::State::Lists="$own/lists" -o Dir::Cache="$own/cache")
    (cd "$into" && apt-get "${opts[@]}" download "$1") >.build/apt.log 2>&1 ||
        (apt-get "${private[@]}" update && cd "$into" && apt-get "${private[@]}" download "$1") \
            >>.build/apt.log 2>&1 ||
        { sed 's/^/    /' .build/apt.log >&2; return 1; }
    mkdir -p "$tools" && dpkg-deb -x "$into/$1"_*.deb "$tools"
}

# ---- cargo, cc, nasm ----

check_rust() {
    have cargo || fail "no Rust toolchain: cargo is not on the PATH." \
        "Install Rust 1.89 or later with rustup (see rust-lang.org), open a new shell, and run make again."
    local version wanted
    version=$(rustc --version | sed -E 's/^rustc ([0-9]+\.[0-9]+).*/\1/')
    wanted=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' Cargo.toml)
    [ "$(printf '%s\n' "$wanted" "$version" | sort -V | head -n 1)" = "$wanted" ] ||
        fail "Rust $version is too old: arraystore needs $wanted or later." "Try: rustup update stable"
}

check_cc() {
    have "${CC:-cc}" && return
    apt_install gcc libc6-dev && return
    fail "no C compiler: ${CC:-cc} is not on the PATH." "Try: sudo apt-get install build-essential"
}

# libjpeg-turbo is three to four times as slow without its SIMD code, which on x86 is written for nasm.
# (Its build stops without nasm, since turbojpeg-sys asks for SIMD; here we say so before, and mend it.)
check_nasm() {
    case $(uname -m) in
    x86_64 | i?86 | amd64) ;;
    *) return ;; # the compiler itself builds the SIMD code of other machines
    esac
    have nasm || apt_install nasm || apt_unpack nasm || true
    PATH=$PATH:$tools/usr/bin
    nasm -v >/dev/null 2>&1 || fail "no nasm: libjpeg-turbo cannot be built with its SIMD code, and we do not build it slow." \
        "Try: sudo apt-get install nasm" \
        "or put any nasm 2.13 or later on the PATH, and run make again."
    say "using $(nasm -v | sed -E 's/^NASM version ([0-9.]+).*/nasm \1/'), $(cc_version), $(rustc --version | cut -d' ' -f1,2)"
}
cc_version() { "${CC:-cc}" --version | head -n 1; }

# ---- Python ----

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local name found
    if [ -n "${PYTHON:-}" ]; then
        is_recent "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or later."
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11 python3.14; do
        # A .venv of this folder that no longer works must not be its own base.
        found=$(type -aP "$name" | grep -v "^$PWD/.venv/" | head -n 1) || true
        if [ -n "$found" ] && is_recent "$found"; then
            echo "$found"
            return
        fi
    done
    fail "no Python 3.11 or later on the PATH." "Try: sudo apt-get install python3 python3-venv" \
        "or name one: make PYTHON=/path/to/python3.12"
}

has_pip() { .venv/bin/python -m pip --version >/dev/null 2>&1; }

# Debian splits `venv` off its Python: install the rest, or use any pip we can get hold of.
make_venv() {
    local python=$1 minor
    say "making .venv with $("$python" -V)"
    "$python" -m venv .venv >.build/venv.log 2>&1 && has_pip && return
    minor=$("$python" -c 'import sys; print("python3.%d" % sys.version_info[1])')
    apt_install "$minor-venv" && "$python" -m venv --clear .venv && has_pip && return
    "$python" -m venv --clear --without-pip .venv >>.build/venv.log 2>&1 ||
        { sed 's/^/    /' .build/venv.log >&2; fail "cannot make .venv." "Try: sudo apt-get install $minor-venv"; }
    if "$python" -m pip --python .venv/bin/python install -q pip >>.build/venv.log 2>&1 && has_pip; then
        return
    fi
    if apt_unpack python3-pip-whl; then
        local wheel
        wheel=$(echo "$tools"/usr/share/python-wheels/pip-*.whl)
        .venv/bin/python "$wheel/pip" install -q --no-index "$wheel" && has_pip && return
    fi
    fail "this Python makes virtual environments without pip." "Try: sudo apt-get install $minor-venv"
}

mkdir -p .build
case ${1:-} in
tools)
    check_rust
    check_cc
    check_nasm
    ;;
venv)
    if [ -x .venv/bin/python ] && is_recent .venv/bin/python && has_pip; then
        say "using .venv ($(.venv/bin/python -V))"
    else
        python=$(find_python)
        make_venv "$python"
    fi
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
