# Applies a role inside a sandbox, as root, under any POSIX shell. The server starts it and reads what it says.
#
# Environment   LAZARET_ROLE_INSTALLS   set if the role has packages for some package manager
#               LAZARET_ROLE_<MANAGER>  the packages, with spaces between them
#               LAZARET_ROLE_SCRIPT     text for sh, run at the end
# Says          @role manager NAME | index | packages COUNT | missing PACKAGE | script
# Exit codes    0 done · 10 no package manager · 11 no packages for it · 12 no index · 13 nothing installed · 14 script failed
#
# What the programs print goes to standard error.
set -u -f
exec 3>&1 1>&2
say() { printf '@role %s\n' "$*" >&3; }

script=${LAZARET_ROLE_SCRIPT-}
installs=${LAZARET_ROLE_INSTALLS-}
apt=${LAZARET_ROLE_APT-} apk=${LAZARET_ROLE_APK-} dnf=${LAZARET_ROLE_DNF-}
yum=${LAZARET_ROLE_YUM-} pacman=${LAZARET_ROLE_PACMAN-} zypper=${LAZARET_ROLE_ZYPPER-}
unset LAZARET_ROLE LAZARET_ROLE_SCRIPT LAZARET_ROLE_INSTALLS LAZARET_ROLE_APT LAZARET_ROLE_APK LAZARET_ROLE_DNF
unset LAZARET_ROLE_YUM LAZARET_ROLE_PACMAN LAZARET_ROLE_ZYPPER
HOME=${HOME:-/root} LC_ALL=C DEBIAN_FRONTEND=noninteractive
export HOME LC_ALL DEBIAN_FRONTEND

# A mirror that does not answer is given up in seconds; and _apt may not be able to read what a sandbox has under /srv.
apt_get() {
    apt-get -q -y -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 "$@"
}

refresh() {
    case $manager in
        # Without this mode, apt is content with an index that could not be fetched.
        apt) apt_get -o APT::Update::Error-Mode=any update ;;
        apk) apk update ;;
        dnf) dnf -q -y makecache ;;
        yum) yum -q -y makecache ;;
        pacman) pacman -Sy --noconfirm ;;
        zypper) zypper -n -q refresh ;;
    esac 3>&- </dev/null
}

install() {
    case $manager in
        apt) apt_get install --no-install-recommends "$@" ;;
        apk) apk add "$@" ;;
        dnf) dnf -q -y --setopt=install_weak_deps=False install "$@" ;;
        yum) yum -q -y install "$@" ;;
        pacman) pacman -S --noconfirm --needed "$@" ;;
        zypper) zypper -n -q install --no-recommends "$@" ;;
    esac 3>&- </dev/null
}

if [ -n "$installs" ]; then
    manager=
    for candidate in apt-get:apt apk:apk dnf:dnf yum:yum pacman:pacman zypper:zypper; do
        if command -v "${candidate%:*}" >/dev/null; then
            manager=${candidate#*:}
            break
        fi
    done
    [ -n "$manager" ] || exit 10
    say manager "$manager"
    case $manager in
        apt) wanted=$apt ;;
        apk) wanted=$apk ;;
        dnf) wanted=$dnf ;;
        yum) wanted=$yum ;;
        pacman) wanted=$pacman ;;
        zypper) wanted=$zypper ;;
    esac
    [ -n "$wanted" ] || exit 11
    say index
    indexed=yes
    # What the image has of an index may do.
    refresh || indexed=
    say packages 0
    # The list is words on purpose, and nothing in it is a pattern.
    # shellcheck disable=SC2086
    set -- $wanted
    count=$#
    if install "$@"; then
        say packages "$count"
    else
        # All or nothing was nothing: each by itself.
        count=0
        for package in "$@"; do
            if install "$package"; then
                count=$((count + 1))
                say packages "$count"
            else
                say missing "$package"
            fi
        done
    fi
    if [ "$count" -eq 0 ]; then
        [ -n "$indexed" ] || exit 12
        exit 13
    fi
fi

if [ -n "$script" ]; then
    say script
    sh -c "$script" lazaret-role 3>&- </dev/null || exit 14
fi
exit 0
