#!/bin/sh
# Makes a minimal system of another release, and runs `make demo` and `make test` there as an ordinary user with sudo.
#
#   setup/try.sh SUITE [COMMAND...]        e.g. setup/try.sh trixie
#                                               setup/try.sh bookworm 'make demo' '.venv/bin/lq doctor'
#
# What is committed is tried, from a fresh clone. Needs Linux with apt, and root (sudo is used). Packages come from where
# apt and pip of this machine get them. The system lives in memory, some 4 GiB, and in namespaces of its own: it is gone
# when this program ends, however it ends. Two things stay: the log, build/try-SUITE.log, and the base system of the
# release, for a week below ${XDG_CACHE_HOME:-~/.cache}/leasequery-lab; delete it whenever you like.
#
# TRY_MIRROR=URL names another mirror than apt's, TRY_CACHE=DIRECTORY another place for the base system.
set -eu
BASE="ca-certificates git make mount passwd sudo" # beyond what is essential: what README says that a minimal system needs
KEEP_DAYS=7
CARRIED="http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"

say() { echo "try: $suite: $*"; }
fail() { say "$@" >&2; exit 1; }

# -- in the new system, as its first process ------------------------------------------------------------------------

# The machine's settings of pip and uv, and whatever file or directory they name, read-only at the same place.
settings_files() {
    for file in /etc/pip.conf /etc/xdg/pip /etc/uv /etc/xdg/uv "$TRY_HOME/.config/pip" "$TRY_HOME/.pip" \
        "$TRY_HOME/.config/uv" "${PIP_CONFIG_FILE-}" "${UV_CONFIG_FILE-}"; do
        [ ! -e "$file" ] || echo "$file"
    done
}
named_files() {
    { settings_files | while read -r file; do grep -rhs . "$file"; done
      env | grep -E '^(PIP|UV|SSL|REQUESTS|CURL)_'; } |
        grep -oE "(^|[=\"' ]|file://)/[^\"' ]+" | sed -E 's|^[^/]*(file://)?||' | sort -u
}
carry() { # FILE AS: show the file or directory FILE of the machine in the new system, where there is none
    [ -e "$1" ] && [ ! -e "$root$2" ] || return 0
    mkdir -p "$root$(dirname "$2")"
    if [ -d "$1" ]; then mkdir "$root$2"; else : >"$root$2"; fi
    mount --bind "$1" "$root$2"
    mount -o remount,ro,bind "$root$2"
}

populate() { # the directory $root, which is empty: files, devices, settings, user, clone
    tar -xf - -C "$root" --exclude='./dev/*' <&5
    exec 5<&-
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    for device in null zero full random urandom tty net/tun fuse; do
        [ ! -e "/dev/$device" ] || { mkdir -p "$root/dev/net"; : >"$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; }
    done
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s fd/0 "$root/dev/stdin"
    ln -s fd/1 "$root/dev/stdout"
    ln -s fd/2 "$root/dev/stderr"

    hostname "try-$suite"
    { cat /etc/hosts; echo "127.0.0.1 try-$suite"; } >"$root/etc/hosts"
    cat /etc/resolv.conf >"$root/etc/resolv.conf"
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
    chroot "$root" update-ca-certificates
    chroot "$root" useradd --create-home --shell /bin/sh user
    echo 'user ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/user"
    git -c safe.directory='*' -C "$TRY_TREE" bundle create -q "$root/home/user/bundle" HEAD
    chroot "$root" runuser -u user -- sh -c 'cd && mkdir .config &&
        git -c init.defaultBranch=main -c advice.detachedHead=false clone -q bundle leasequery-lab'
    rm "$root/home/user/bundle"

    settings_files | while read -r file; do
        case $file in
        "$TRY_HOME"/*) carry "$file" "/home/user/${file#"$TRY_HOME"/}" ;;
        *) carry "$file" "$file" ;;
        esac
    done
    named_files | while read -r file; do carry "$file" "$file"; done
}

enter() { # make $root the root of this process; a process in a mere chroot may make no namespaces
    cd "$root"
    mkdir mnt/machine
    pivot_root . mnt/machine
    cd /
    umount -l /mnt/machine
    rmdir /mnt/machine
}

as_user() { # COMMAND: with the machine's settings of proxies, certificates, pip and uv, and nothing else
    command=$1
    set -- HOME=/home/user USER=user LOGNAME=user SHELL=/bin/sh LANG=C.UTF-8 TERM=dumb \
        PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games
    for name in $CARRIED $(env | sed -n 's/^\(\(PIP\|UV\)_[A-Z0-9_]*\)=.*/\1/p'); do
        eval "value=\${$name-}"
        [ -z "$value" ] || set -- "$@" "$name=$value"
    done
    runuser -u user -- env -i "$@" sh -c "cd ~/leasequery-lab && $command" </dev/null
}

closing() { # pytest's last lines in the output $1
    sed -n 's/^[= ]*\([0-9][0-9]* \(passed\|failed\|error\|skipped\|deselected\).* in [0-9.]*s[^=]*\).*/\1/p' "$1" |
        tr '\n' ';' | sed 's/ *;$//; s/ *;/; /g'
}

inside() {
    suite=$1 base=$2 root=$3
    shift 3
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mount --make-rprivate /
    exec 5<"$base" # it lies beside the place that is mounted over
    mount -t tmpfs -o mode=755,size=90% try "$root"
    populate >&3 2>&1 || fail "cannot make the system (see the log)" >&4
    enter
    say "$(. /etc/os-release; echo "$PRETTY_NAME") ($(cat /etc/debian_version)), as an ordinary user" >&4
    worst=0
    for command; do
        say "running: $command" >&4
        begun=$(date +%s)
        { as_user "$command" && echo 0 >/root/status || echo $? >/root/status; } 2>&1 | tee /root/output >&3
        status=$(cat /root/status)
        took="$(($(date +%s) - begun)) s"
        summary=$(closing /root/output)
        if [ "$status" = 0 ]; then
            say "$command: ok, $took${summary:+: $summary}" >&4
        else
            tail -n 30 /root/output >&4
            say "$command: FAILED with status $status after $took${summary:+: $summary}" >&4
            worst=1
        fi
    done
    say "had Python $(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null || echo none)," \
        "$(ovs-vswitchd --version 2>/dev/null | sed -n '1s/.*) /Open vSwitch /p')" >&4
    exit "$worst"
}

# -- on the machine -------------------------------------------------------------------------------------------------

origins() { # "ORIGIN MIRROR" of each source of the machine's apt that has a whole distribution
    [ -z "${TRY_MIRROR-}" ] || { echo "named $TRY_MIRROR"; return; }
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^\(Debian\|Ubuntu\) /\1 /p' | sort -u
}

# Sets $status to that of a program in namespaces of its own. Whatever happens in them ends with this shell. Signals are
# handled as usual there, though it is a job in the background.
contained() {
    setpriv --pdeathsig KILL env --default-signal=INT,QUIT unshare --mount --pid --uts --ipc --fork --kill-child "$@" &
    child=$!
    status=0
    wait "$child" || status=$?
}
stop() {
    [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
    wait || true
}

find_mirror() { # sets $mirror and $components
    known=$(origins)
    [ -n "$known" ] || fail "apt's sources do not name a mirror of Debian or Ubuntu: set TRY_MIRROR=URL"
    release=$(mktemp)
    for mirror in $(echo "$known" | awk '{ print $2 }'); do
        if /usr/lib/apt/apt-helper download-file "${mirror%/}/dists/$suite/InRelease" "$release" >/dev/null 2>&1; then
            case $(sed -n 's/^Origin: //p' "$release") in
            Ubuntu) components=main,universe ;;
            *) components=main ;;
            esac
            rm -f "$release"
            return
        fi
    done
    rm -f "$release"
    fail "no release of this name at" $(echo "$known" | awk '{ print "the mirror of " $1 }') \
        "that apt uses; name another one: TRY_MIRROR=URL"
}

make_base() { # the tar file $base, whole or not at all
    find_mirror
    say "making the base system $base"
    set --
    while read -r option; do set -- "$@" --aptopt="$option"; done <<EOF
$(apt-config dump | grep -E '^Acquire::(Check-|Retries|Force|(http|https|ftp)(::|$))[^"]*"[^"]+"')
EOF
    contained --mount-proc sh -c 'mount -t tmpfs -o mode=1777 base /tmp && cd / && TMPDIR=/tmp exec mmdebstrap "$@"' sh \
        --variant=apt --components="$components" --include="$(echo $BASE | tr ' ' ,)" "$@" \
        "$suite" - "$mirror" >"$base.new" 2>&3 3>&- 4>&- 7<&- # apt handles no two-digit descriptors
    [ "$status" = 0 ] || { rm -f "$base.new"; tail -n 5 "$log" >&2; fail "cannot make the base system"; }
    mv "$base.new" "$base"
}

main() {
    suite=${1-}
    case $suite in
    "" | -* | *[!a-z0-9.-]*)
        suite=try.sh
        echo "usage: setup/try.sh SUITE [COMMAND...], e.g. setup/try.sh trixie (see the head of the file)" >&2
        exit 2
        ;;
    esac
    shift
    unset CDPATH
    cd "$(dirname "$0")/.."
    export TRY_TREE="$PWD" TRY_HOME="${TRY_HOME-${HOME-/root}}"
    export TRY_CACHE="${TRY_CACHE-${XDG_CACHE_HOME-$TRY_HOME/.cache}/leasequery-lab}"
    log=build/try-$suite.log
    mkdir -p build "$TRY_CACHE" # and the cache: they shall be the user's
    if [ "$(id -u)" != 0 ]; then
        : >"$log"
        say "this needs sudo, to make a separate system"
        exec sudo -E env "PATH=$PATH" sh setup/try.sh "$suite" "$@"
    fi
    [ $# -gt 0 ] || set -- "make demo" "make test"
    command -v apt-get >/dev/null || fail "this system has no apt: use Debian or Ubuntu"
    if ! command -v mmdebstrap >/dev/null; then
        say "installing mmdebstrap"
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends mmdebstrap >/dev/null
    fi
    changed=$(git -c safe.directory='*' status --porcelain | wc -l)
    [ "$changed" = 0 ] || say "only committed files are tried; $changed changed files are left out"
    exec 3>"$log" 4>&1
    say "the log is $log"
    base=$TRY_CACHE/$suite.tar
    root=$TRY_CACHE/root # an empty directory, but in the namespaces
    mkdir -p "$root"
    child=
    trap 'stop; say "interrupted" >&4; exit 130' INT
    trap 'stop; say "ended" >&4; exit 143' HUP TERM
    exec 7<"$TRY_CACHE"
    flock 7 # another one may be making the same base system
    [ -n "$(find "$base" -mtime "-$KEEP_DAYS" 2>/dev/null)" ] || make_base
    exec 7<&-
    contained sh setup/try.sh --inside "$suite" "$base" "$root" "$@"
    say "$([ "$status" = 0 ] && echo "all passed" || echo "FAILED"), the log is $log"
    exit "$status"
}

# All is read before it begins: the file may change meanwhile.
if [ "${1-}" = --inside ]; then
    shift
    inside "$@"
else
    main "$@"
fi
