#!/bin/sh
# Opens the firewall of a Stationmaster station and labels its ports for SELinux. Generated; run as root.
# Can be run again: what is there already is left alone. What the host lacks is skipped, and said.
#
#   sh station-setup.sh [--dry-run]
#
# Exit status: 0 done (or nothing to do), 1 a command failed, 2 wrong usage.
set -u

PROXY_PORTS='@PROXY_PORTS@'
MIRROR_PORTS='@MIRROR_PORTS@'
AGENT_PORTS='@AGENT_PORTS@'

DRY_RUN=no
FAILED=no

say() { printf '%s\n' "$*"; }

usage() {
    say "usage: sh station-setup.sh [--dry-run]"
    say "Opens tcp ports $PROXY_PORTS (proxy), $MIRROR_PORTS (mirror) and $AGENT_PORTS (HAProxy's agent check),"
    say "and labels the first squid_port_t, the second http_port_t where SELinux is enabled."
}

has() { command -v "$1" >/dev/null 2>&1; }

# run WHAT COMMAND…: do it, or say that it would be done.
run() {
    what=$1
    shift
    if [ "$DRY_RUN" = yes ]; then
        say "would run: $*"
        return 0
    fi
    if output=$("$@" 2>&1); then
        say "$what"
        return 0
    fi
    say "FAILED: $*: $output" >&2
    FAILED=yes
    return 1
}

open_port() {
    port=$1
    if firewall-cmd --permanent --query-port="$port/tcp" >/dev/null 2>&1; then
        say "firewalld: $port/tcp is open for good already."
    else
        run "firewalld: opened $port/tcp for good." firewall-cmd --permanent --add-port="$port/tcp" || return 0
    fi
    if firewall-cmd --query-port="$port/tcp" >/dev/null 2>&1; then
        say "firewalld: $port/tcp is open now already."
    else
        run "firewalld: opened $port/tcp now." firewall-cmd --add-port="$port/tcp" || return 0
    fi
}

open_firewall() {
    if ! has firewall-cmd; then
        say "firewalld: not installed, skipped. Open tcp $PROXY_PORTS $MIRROR_PORTS $AGENT_PORTS in whatever firewall this host has."
        return 0
    fi
    if ! firewall-cmd --state >/dev/null 2>&1; then
        say "firewalld: installed but not running, skipped."
        return 0
    fi
    for port in $PROXY_PORTS $MIRROR_PORTS $AGENT_PORTS; do
        open_port "$port"
    done
}

# is_labelled TYPE PORT: whether the policy has the port (alone or in a range) under the type.
is_labelled() {
    semanage port -l 2>/dev/null | awk -v wanted="$1" -v port="$2" '
        $1 == wanted && $2 == "tcp" {
            for (i = 3; i <= NF; i++) {
                gsub(",", "", $i)
                n = split($i, ends, "-")
                if ((n == 1 && ends[1] + 0 == port + 0) || (n == 2 && ends[1] + 0 <= port + 0 && port + 0 <= ends[2] + 0))
                    found = 1
            }
        }
        END { exit !found }'
}

label_port() {
    type=$1
    port=$2
    if is_labelled "$type" "$port"; then
        say "SELinux: $port/tcp is labelled $type already."
    elif [ "$DRY_RUN" = yes ]; then
        run "" semanage port -a -t "$type" -p tcp "$port"
    elif semanage port -a -t "$type" -p tcp "$port" >/dev/null 2>&1; then
        say "SELinux: labelled $port/tcp $type."
    else
        # The policy gives the port another label: modify it instead.
        run "SELinux: changed the label of $port/tcp to $type." semanage port -m -t "$type" -p tcp "$port" || return 0
    fi
}

label_ports() {
    if ! has selinuxenabled || ! selinuxenabled; then
        say "SELinux: not enabled, skipped."
        return 0
    fi
    if ! has semanage; then
        say "SELinux: enabled, but semanage is not installed, skipped. It is in policycoreutils-python-utils." >&2
        return 0
    fi
    for port in $PROXY_PORTS; do
        label_port squid_port_t "$port"
    done
    for port in $MIRROR_PORTS; do
        label_port http_port_t "$port"
    done
}

while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) DRY_RUN=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done

open_firewall
label_ports
if [ "$FAILED" = yes ]; then
    say "Some steps failed; put right what they say and run this again." >&2
    exit 1
fi
[ "$DRY_RUN" = yes ] && say "Nothing was changed."
exit 0
