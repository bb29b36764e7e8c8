#!/bin/sh
# Runs a command in this checkout on another kernel, which has Open vSwitch's datapath, netem and 8021q.
#
#   setup/kernel.sh COMMAND [ARGUMENT]...      e.g. setup/kernel.sh .venv/bin/lq doctor
#
# The kernel is Debian's user-mode-linux, an ordinary program: no root, no image, no network. Its files are this
# machine's own, read-only. /tmp, /run and /dev/shm are the guest's own and go with it. The command runs as the present
# user, or as `nobody` for root. Its output and exit status come back. Kill this script, and the guest goes, too.
#
# The package is the release's own. Where its kernel does not start (an older one cannot know a newer processor's
# registers), it is that of Debian's next release, with that release's libc beside it. Both lie in build/kernel.
# Where neither works, exit status 77 and one line that says why.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."
tree=$(pwd -P)
store=$tree/build/kernel
MEMORY=2G
NEITHER=77

say() { echo "kernel: $*" >&2; }

# -- the package: RELEASE is `own`, or a name that the archive knows

apt() { # RELEASE COMMAND...: apt-get with the system's package lists, or with lists of ours for another release
    release=$1; shift
    if [ "$release" = own ]; then
        apt-get -qq "$@"
    else
        apt-get -qq -o Dir::Etc::SourceList="$store/$release/sources.list" -o Dir::Etc::SourceParts=/nonexistent \
            -o Dir::State::Lists="$store/$release/lists" -o Dir::Cache="$store/$release/cache" \
            -o Dir::State::Status="$store/$release/status" -o Acquire::Languages=none "$@"
    fi
}

mirror() { # where this machine gets Debian from
    # shellcheck disable=SC2016  # the format is apt's
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian Debian main //p' | head -n 1
}

get() { # RELEASE: get its kernel into $store/RELEASE; else set a line that says why not
    place=$store/$1
    [ ! -e "$place/complete" ] || return 0
    command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || { why="this system has no apt"; return 1; }
    rm -rf "$place"
    mkdir -p "$place/lists/partial" "$place/cache/archives/partial" "$place/root/usr/lib"
    wanted=user-mode-linux
    if [ "$1" != own ]; then
        from=$(mirror)
        [ -n "$from" ] || { why="apt has no source of Debian's packages"; return 1; }
        echo "deb $from $1 main" >"$place/sources.list"
        : >"$place/status"
        wanted="$wanted libc6"
        apt "$1" update >"$place/log" 2>&1 || { why="apt-get update for $1 failed: $(tail -n 1 "$place/log")"; return 1; }
    fi
    say "downloading $wanted of" "$(release_name "$1")"
    # shellcheck disable=SC2086
    (cd "$place" && apt "$1" download $wanted) >"$place/log" 2>&1 ||
        { why="apt-get download failed for $(release_name "$1"): $(tail -n 1 "$place/log")"; return 1; }
    unpack "$1" >"$place/log" 2>&1 || { why="unpacking failed: $(tail -n 1 "$place/log")"; return 1; }
    rm -rf "$place"/*.deb "$place/lists" "$place/cache"
    : >"$place/complete"
}

unpack() { # RELEASE
    for package in "$place"/*.deb; do dpkg-deb -x "$package" "$place/root" || return; done
    ln -s uml/modules "$place/root/usr/lib/modules" || return # where modprobe looks
    [ -e "$place/root/lib" ] || ln -s usr/lib "$place/root/lib" || return
    [ "$1" != own ] || return 0
    # Its loader lies beside it, by a relative path of the same length.
    ln -s "$(cd "$place/root" && echo usr/lib/*/ld-linux-x86-64.so.2)" "$place/root/loader" &&
        LC_ALL=C sed -i 's|/lib64/ld-linux-x86-64\.so\.2|.////////////////////loader|' "$place/root/usr/bin/linux.uml"
}

release_name() { [ "$1" = own ] && echo "this release" || echo "Debian $1"; }

# -- the guest

first_program() { # the guest's kernel starts this: lay out the file system, run the command, write its status, end
    cat <<X
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
# To an ordinary user's guest the files of others are nobody's, and setuid programs, such as mount, would become that.
[ "\${1-}" = again ] || exec setpriv --no-new-privs "\$0" again
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t hostfs none /mnt -o '$run'
mount -t tmpfs -o mode=755 tmpfs /run
echo begun >/mnt/status
printf '#!/bin/sh\nexec /sbin/modprobe -d %s "\$@"\n' '$place/root' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
/run/modprobe -q ipv6
ip link set lo up
# /tmp, and what is closed to the command's user above the checkout, is covered; the checkout itself is not.
mkdir /run/tree /run/modules
mount --bind '$tree' /run/tree
mount --bind '$place/root' /run/modules
for cover in $closed /tmp; do mount -t tmpfs -o mode=1777 tmpfs "\$cover"; done
mkdir -p '$tree'
mount --bind /run/tree '$tree'
mount --bind /run/modules '$place/root'
cd '$tree'
stty -F /dev/console -opost
echo begun
setpriv --reuid=$user --regid=$group --clear-groups -- env -i HOME=/tmp PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 \\
    PYTHONDONTWRITEBYTECODE=1 TERM=dumb ${CI:+CI=1} $command >/dev/console 2>&1 </dev/null
echo \$? >/mnt/status
echo ended
echo o >/proc/sysrq-trigger
sleep 60
X
}

quoted() { # the arguments, as a shell reads them
    for word; do printf "'%s' " "$(printf %s "$word" | sed "s/'/'\\\\''/g")"; done
}

boot() { # RELEASE: run the command there; return once the guest has ended
    place=$store/$1
    first_program >"$run/init"
    chmod 755 "$run/init"
    libraries=
    [ "$1" = own ] || libraries=LD_LIBRARY_PATH=$(echo "$place"/root/usr/lib/*-linux-gnu)
    # A process namespace goes with its first process. That one goes with unshare, and unshare with this script.
    # shellcheck disable=SC2086
    (cd "$place/root" && exec env -i PATH="$PATH" setpriv --pdeathsig KILL unshare $as_user --mount-proc --pid --fork \
        --kill-child sh -c '"$@"; exit $?' sh env $libraries usr/bin/linux.uml "mem=$MEMORY" root=/dev/root \
        rootfstype=hostfs rootflags=/ ro "init=$run/init" con0=null,fd:1 con=null "uml_dir=$run" quiet \
        </dev/null >"$run/console" 2>&1) &
    guest=$!
    tail -n +1 -f -s 0.2 --pid=$guest "$run/console" 2>/dev/null |
        sed -un '/^begun/,/^ended/ { /^begun/d; /^ended/d; p }' &
    shown=$!
    wait $guest || true
    wait $shown || true
    guest=
}

complaint() { # the guest's own message about why it did not start
    grep -m 1 'ptrace\|panic\|not permitted' "$run/console" || tail -n 1 "$run/console"
}

end() { # the guest, and what it has left
    [ -z "$guest" ] || kill -KILL "$guest" 2>/dev/null || true
    rm -rf "$run"
}

[ $# -gt 0 ] || { say "usage: setup/kernel.sh COMMAND [ARGUMENT]..."; exit 2; }
case $tree in *[!A-Za-z0-9/._+@%:=-]*) say "the path $tree has characters that a kernel cannot take: move the checkout"; exit $NEITHER ;; esac
command=$(quoted "$@")
user=$(id -u) group=$(id -g) as_user="--user --map-current-user" closed=
if [ "$user" = 0 ]; then
    user=65534 group=65534 as_user= above=$tree
    while above=${above%/*} && [ -n "$above" ]; do # the topmost directory that others may not enter
        [ -n "$(find "$above" -maxdepth 0 -perm -001)" ] || closed=$above
    done
fi
mkdir -p "$store"
for old in "$store"/run.*; do [ -d "/proc/${old##*.}" ] || rm -rf "$old"; done # left by a killed one
run=$store/run.$$ guest=
mkdir "$run"
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
why=
for release in own testing; do
    exec 9<"$store"
    flock 9 # another process may be getting the same
    get "$release" || { say "$why"; continue; }
    exec 9<&-
    boot "$release"
    case $(cat "$run/status" 2>/dev/null) in
    begun) say "the guest ended before the command did"; exit 1 ;;
    '') say "the kernel of $(release_name "$release") does not start here: $(complaint)" ;;
    *) exit "$(cat "$run/status")" ;;
    esac
done
exit $NEITHER
