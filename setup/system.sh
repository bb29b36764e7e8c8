#!/bin/sh
# Installs the system packages that are missing, through apt and sudo; does nothing when none is.
#
#   setup/system.sh [demo|test]     demo: what a run needs; test: also the peers that tests compare with
#
# Services that come with a package are neither started now nor at boot: the lab runs its own.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" # daemons are there; not in every user's PATH
POLICY=/usr/sbin/policy-rc.d
TRIED=.venv/.peers-tried
PATIENCE=300 # seconds to wait for others who install packages
MARK="# left by setup/system.sh of leasequery-lab: safe to remove"

# COMMAND PACKAGE, for a run
NEEDED="
ovs-vswitchd openvswitch-switch
mnexec       mininet
udhcpc       udhcpc
ip           iproute2
ifconfig     net-tools
ping         iputils-ping
unshare      util-linux
"
# COMMAND PACKAGE, for tests; a test without its peer is skipped and says so
PEERS="
tshark       tshark
dhcpd        isc-dhcp-server
dhclient     isc-dhcp-client
dnsmasq      dnsmasq-base
git          git
chromium     chromium
chromedriver chromium-driver
"

say() { echo "setup: $*" >&2; }
fail() { say "$@"; exit 1; }

missing() { # PACKAGE of every "COMMAND PACKAGE" line of $1 whose COMMAND is not there, or that is only half installed
    echo "$1" | while read -r command package; do
        [ -z "$command" ] || command -v "$command" >/dev/null 2>&1 || echo "$package"
    done
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' $(echo "$1" | awk '{ print $2 }') 2>/dev/null |
        awk '$1 !~ /^(installed|not-installed|config-files)$/ { print $2 }'
}

interrupted() { # a killed installation leaves this
    grep -qxF "$MARK" "$POLICY" 2>/dev/null
}

python_package() { # python3-venv, unless an interpreter that can make an environment is there, or is named
    [ -n "${PYTHON-}" ] || sh setup/python.sh --find >/dev/null 2>&1 || echo python3-venv
}

available() { # the packages among the arguments that apt could install
    for package; do
        LC_ALL=C apt-cache policy "$package" | grep -q '^  Candidate: [^(]' && echo "$package"
    done
    true
}

disable_services() { # those of newly installed packages, unless they run: then somebody wants them
    for package; do
        files=$(dpkg -L "$package" 2>/dev/null) || continue
        if command -v systemctl >/dev/null; then
            for unit in $(echo "$files" | sed -n 's,.*/systemd/system/\([^/@]*[.][a-z]*\)$,\1,p'); do
                { [ -d /run/systemd/system ] && systemctl --quiet is-active "$unit"; } || systemctl disable "$unit" || true
            done
        else
            for script in $(echo "$files" | sed -n 's,^/etc/init.d/,,p'); do
                update-rc.d "$script" disable || true
            done
        fi
    done >/dev/null 2>&1
}

announce_wait() { # apt waits silently while another program installs packages
    for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock; do
        inode=$(stat -c %i "$lock" 2>/dev/null) && grep -qs ":$inode " /proc/locks || continue
        say "another program is installing packages: waiting for it, at most $PATIENCE s"
        return
    done
}

# As root: install PACKAGE... after `--` they are optional.
install() {
    export DEBIAN_FRONTEND=noninteractive
    umask 022 # packages' scripts make files for everybody
    exec 8</var/lib/dpkg
    # also those of one that was killed: its apt keeps the lock
    flock -n 8 || { say "another set-up is installing packages: waiting for it, at most $PATIENCE s"; flock -w $PATIENCE 8 || true; }
    brought=
    if interrupted; then
        say "repairing an interrupted installation"
        brought=$(sed -n 's/^# installing: //p' "$POLICY")
        dpkg --configure -a >/dev/null || true
    fi
    for package; do
        [ "$package" = -- ] || dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            brought="$brought $package"
    done
    trap 'disable_services $brought' EXIT
    if [ ! -e "$POLICY" ] || interrupted; then
        # The standard way to keep dpkg from starting services; interrupted or not, it goes away again.
        trap 'disable_services $brought; rm -f "$POLICY"' EXIT
        printf '#!/bin/sh\n%s\n# installing: %s\nexit 101\n' "$MARK" "$brought" >"$POLICY.new"
        chmod 755 "$POLICY.new"
        mv "$POLICY.new" "$POLICY"
    fi
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    [ -z "$(dpkg --audit)" ] || dpkg --configure -a >/dev/null || true
    [ $# -gt 1 ] || return 0
    apt-get -qq -o DPkg::Lock::Timeout=$PATIENCE update || say "apt-get update failed; continuing with the old package lists"

    wanted= optional=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do wanted="$wanted $1"; shift; done
    [ $# -eq 0 ] || { shift; optional=$(available "$@"); }
    here=$(available $wanted)
    for package in $wanted; do
        case " $(echo $here) " in
        *" $package "*) ;;
        *) fail "no package source of this system has $package (on Ubuntu: sudo add-apt-repository universe)" ;;
        esac
    done
    for package in "$@"; do
        case " $(echo $optional) " in
        *" $package "*) ;;
        *) say "no package source of this system has $package: the tests that need it will be skipped" ;;
        esac
    done
    [ -n "$wanted$optional" ] || return 0
    announce_wait
    say "installing" $wanted $optional
    apt-get -qq -o DPkg::Lock::Timeout=$PATIENCE -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
        $wanted $optional >/dev/null || fail "apt-get install failed (see above)"
}

if [ "${1-}" = --as-root ]; then
    shift
    install "$@"
    exit
fi

needed=$({ missing "$NEEDED"; python_package; } | sort -u)
optional=
[ "${1-demo}" = demo ] || optional=$(missing "$PEERS" | sort -u)
[ "$optional" != "$(cat "$TRIED" 2>/dev/null)" ] || optional= # one try is enough
[ -n "$needed$optional" ] || interrupted || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    [ -n "$needed" ] || exit 0
    fail "this system has no apt: install the packages that Debian calls" $needed "with its own package manager, then try again"
fi
if [ "$(id -u)" = 0 ]; then
    become=
elif command -v sudo >/dev/null 2>&1; then
    become=sudo
    say "sudo is only for apt-get:" ${needed:-$(interrupted && echo "to repair an interrupted installation")} $optional
    [ -n "$needed" ] || sudo true || { say "sudo failed: the tests that need these packages will be skipped"; exit 0; }
else
    [ -n "$needed" ] || exit 0
    fail "run this as root, then try again: apt-get install --no-install-recommends" $needed
fi
$become sh setup/system.sh --as-root $needed -- $optional
[ ! -w .venv ] || missing "$PEERS" | sort -u >"$TRIED"
