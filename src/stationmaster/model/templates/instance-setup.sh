#!/bin/sh
# Points a Stationmaster instance at a host name and ports: repository files, agent and the agent's proxy together.
# Generated; run as root on the instance. Can be run again. Rehearses first; puts everything back when a step fails.
#
#   sh instance-setup.sh [--host NAME] [--proxy-port P] [--http-port P] [--https-port P]
#                        [--state-dir DIR] [--root DIR] [--without-agent] [--dry-run]
#
# Exit status: 0 done (or nothing to do), 1 failed and nothing changed, 2 wrong usage.
set -eu

HOST='@HOST@'
PROXY_PORT='@PROXY_PORT@'
HTTP_PORT='@HTTP_PORT@'
HTTPS_PORT='@HTTPS_PORT@'
HUB_URL='@HUB_URL@'
CA_PEM='@CA_PEM@'
STATE_DIR='/var/lib/stationmaster/agent'
ROOT=''
DRY_RUN=no
WITH_AGENT=yes
AGENT_COMMAND=${STATIONMASTER:-stationmaster}

say() { printf '%s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

usage() {
    cat <<TEXT
usage: sh instance-setup.sh [options]
Points this instance at $HOST: proxy $PROXY_PORT, mirror HTTP $HTTP_PORT, mirror HTTPS $HTTPS_PORT.
  --host NAME        another host name or address
  --proxy-port P     another proxy port
  --http-port P      another mirror port (HTTP)
  --https-port P     another mirror port (HTTPS)
  --state-dir DIR    the agent's state directory (default $STATE_DIR)
  --root DIR         file-system root whose repository files are changed (default: the one the agent manages, or /)
  --without-agent    edit the files, even where the command stationmaster is installed
  --dry-run          rehearse, and say what would change
The hub has the last word: an address other than that of the instance's station lasts until the agent's next check-in.
TEXT
}

need_value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then
        usage >&2
        exit 2
    fi
}

check_port() {
    case $2 in
    '' | *[!0-9]* | ??????*) printf '%s is %s, which is no port.\n' "$1" "$2" >&2; exit 2 ;;
    esac
    if [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then
        printf '%s is %s, which is no port.\n' "$1" "$2" >&2
        exit 2
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
    --host) need_value "$@"; HOST=$2; shift ;;
    --proxy-port) need_value "$@"; PROXY_PORT=$2; shift ;;
    --http-port) need_value "$@"; HTTP_PORT=$2; shift ;;
    --https-port) need_value "$@"; HTTPS_PORT=$2; shift ;;
    --state-dir) need_value "$@"; STATE_DIR=$2; shift ;;
    --root) need_value "$@"; ROOT=${2%/}; shift ;;
    --without-agent) WITH_AGENT=no ;;
    --dry-run) DRY_RUN=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
check_port --proxy-port "$PROXY_PORT"
check_port --http-port "$HTTP_PORT"
check_port --https-port "$HTTPS_PORT"
case $HOST in
'' | *[!A-Za-z0-9._:-]*) printf -- '--host is %s, which is no host name or address.\n' "$HOST" >&2; exit 2 ;;
esac
case $HOST in
*:*) URL_HOST="[$HOST]" ;;
*) URL_HOST=$HOST ;;
esac

case $STATE_DIR$ROOT in
*[[:space:]]*) die "Directories with blanks in their names are not supported here; use \`stationmaster agent repoint\`." ;;
esac

# --- what there is -------------------------------------------------------------------------------------------------

# json_text FILE KEY: a string out of the agent's own file, which has one key per line.
json_text() { sed -n "s#^ *\"$2\": \"\\([^\"]*\\)\".*#\\1#p" "$1" | head -n 1; }

has() { command -v "$1" >/dev/null 2>&1; }

IDENTITY=$STATE_DIR/agent.json
ADDRESS=$STATE_DIR/address.conf
if [ -f "$IDENTITY" ]; then
    HUB_URL=$(json_text "$IDENTITY" hubUrl)
    if [ -z "$ROOT" ]; then
        ROOT=$(json_text "$IDENTITY" root)
        ROOT=${ROOT%/}
    fi
fi

if [ "$WITH_AGENT" = yes ] && [ -f "$IDENTITY" ] && has "$AGENT_COMMAND"; then
    set -- agent repoint --state-dir "$STATE_DIR" --host "$HOST" --proxy-port "$PROXY_PORT" \
        --http-port "$HTTP_PORT" --https-port "$HTTPS_PORT"
    [ "$DRY_RUN" = no ] || set -- "$@" --dry-run
    exec "$AGENT_COMMAND" "$@"
fi

[ "$(id -u)" = 0 ] || die "This changes files of the system: run it as root."

FILES=''
for file in /etc/yum.repos.d/stationmaster.repo /etc/zypp/repos.d/stationmaster.repo \
    /etc/apt/sources.list.d/stationmaster.sources /etc/apt/apt.conf.d/90stationmaster; do
    [ ! -f "$ROOT$file" ] || FILES="$FILES $ROOT$file"
done
[ ! -f "$ADDRESS" ] || FILES="$FILES $ADDRESS"
[ -n "$FILES" ] || die "Found neither an agent in $STATE_DIR nor its repository files below ${ROOT:-/}. Register first:" \
    "stationmaster agent register --response-file input.rsp --state-dir $STATE_DIR"

UNDO=$ROOT/etc/stationmaster/instance-setup.undo
WORK=''

# put FILE TARGET: replace TARGET by FILE in one step, mode and owner kept.
put() {
    cp -p "$2" "$2.stationmaster-new" && cat "$1" >"$2.stationmaster-new" && mv -f "$2.stationmaster-new" "$2"
}

put_back() {
    for file in $FILES; do
        [ ! -f "$UNDO$file" ] || cmp -s "$UNDO$file" "$file" || put "$UNDO$file" "$file"
        rm -f "$file.stationmaster-new"
    done
    rm -rf "$UNDO"
}

leave() {
    status=$?
    trap - EXIT
    if [ -f "$UNDO/complete" ]; then
        put_back
        printf 'error: stopped in the middle; everything was put back.\n' >&2
        [ "$status" != 0 ] || status=1
    fi
    [ -z "$WORK" ] || rm -rf "$WORK"
    exit "$status"
}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# One change at a time, the agent's own included.
if [ -f "$IDENTITY" ] && has flock; then
    exec 9>>"$STATE_DIR/lock"
    flock -w 120 9 || die "The agent is at work in $STATE_DIR; try again when it has ended."
fi
[ ! -f "$STATE_DIR/former.conf" ] || die "The agent was stopped in the middle of a re-point. Run" \
    "\`stationmaster agent run --state-dir $STATE_DIR --once\` first; it goes back by itself."
if [ -f "$UNDO/complete" ]; then
    put_back
    say "A former run was killed in the middle; what it had changed was put back."
fi
rm -rf "$UNDO"

# --- rehearsal -----------------------------------------------------------------------------------------------------

WORK=$(mktemp -d)
APT_HELPER=/usr/lib/apt/apt-helper
if has curl; then
    FETCHER=curl
elif has wget; then
    FETCHER=wget
elif [ -x "$APT_HELPER" ]; then
    FETCHER=apt
else
    die "Neither curl nor wget nor apt is here, so nothing can be rehearsed."
fi
CA=$STATE_DIR/ca.pem
if [ ! -f "$CA" ] && [ -n "$CA_PEM" ]; then
    CA=$WORK/ca.pem
    printf '%s\n' "$CA_PEM" >"$CA"
fi

# fetch URL [PROXY]: the document to $WORK/got; what was said to $WORK/said. Status 0 only for an answer of 200.
fetch() {
    rm -f "$WORK/got"
    proxy=${2:-}
    case $FETCHER in
    curl)
        set -- -q --silent --show-error --fail --max-time 20 --connect-timeout 5 --output "$WORK/got" "$1"
        [ ! -f "$CA" ] || set -- "$@" --cacert "$CA"
        if [ -n "$proxy" ]; then set -- "$@" --proxy "$proxy" --noproxy ''; else set -- "$@" --noproxy '*'; fi
        curl "$@" >"$WORK/said" 2>&1
        ;;
    wget)
        set -- --no-config --quiet --tries=1 --timeout=10 --output-document="$WORK/got" "$1"
        [ ! -f "$CA" ] || set -- "$@" --ca-certificate="$CA"
        [ -n "$proxy" ] || set -- "$@" --no-proxy
        http_proxy=$proxy https_proxy=$proxy wget "$@" >"$WORK/said" 2>&1
        ;;
    apt)
        set -- -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 \
            -o "Acquire::http::Proxy=${proxy:-DIRECT}" -o "Acquire::https::Proxy=${proxy:-DIRECT}" \
            -o APT::Sandbox::User=root download-file "$1" "$WORK/got"
        [ ! -f "$CA" ] || set -- -o "Acquire::https::CaInfo=$CA" "$@"
        "$APT_HELPER" "$@" >"$WORK/said" 2>&1
        ;;
    esac
}

# answers PORT: whether anything answers there; an HTTP error is an answer too.
answers() {
    status=0
    fetch "http://$URL_HOST:$1/healthz" || status=$?
    case $FETCHER in
    curl) case $status in 5 | 6 | 7 | 28) return 1 ;; esac ;;
    wget) [ "$status" != 4 ] ;;
    apt) ! grep -Eq 'Could not connect|Unable to connect|Connection (timed out|refused)|No route|resolve' "$WORK/said" ;;
    esac
}

resolves() {
    case $HOST in
    *:*) return 0 ;;
    *[!0-9.]*) ! has getent || getent hosts "$HOST" >/dev/null ;;
    *) return 0 ;;
    esac
}

reaches_hub() { [ -z "$HUB_URL" ] || fetch "$HUB_URL/stationmaster/v1/health" "http://$URL_HOST:$PROXY_PORT"; }

# list_urls FILE…: the address of every list that repository files name.
list_urls() { sed -n -e 's#^mirrorlist=\(https*://[^/]*/m/.*\)#\1#p' -e 's#^URIs: mirror+\(https*://[^/]*/m/.*\)#\1#p' "$@"; }

# is_needed URL: whether the source has answered before; one that never did (not synced yet) is no reason to stay.
is_needed() { [ ! -f "$STATE_DIR/applied.json" ] || grep -Fq "\"${1##*/}\"" "$STATE_DIR/applied.json"; }

rehearse() {
    resolves || die "The name $HOST does not resolve on this instance."
    for port in "$PROXY_PORT" "$HTTP_PORT" "$HTTPS_PORT"; do
        answers "$port" || die "$HOST does not answer on port $port."
        say "ok: $HOST answers on port $port"
    done
    reaches_hub || die "The hub $HUB_URL does not answer through the proxy $HOST:$PROXY_PORT: $(cat "$WORK/said")"
    [ -z "$HUB_URL" ] || say "ok: the hub answers through the proxy"
    list_urls "$WORK"/new/* >"$WORK/lists"
    while read -r url; do
        is_needed "$url" || continue
        fetch "$url" || die "$url does not answer: $(cat "$WORK/said")"
        grep -Eq '^https?://' "$WORK/got" || die "$url is not the list of a software source."
        say "ok: $url"
    done <"$WORK/lists"
}

# --- what there will be --------------------------------------------------------------------------------------------

# point FILE: the text of a file with the new address.
point() {
    case $1 in
    "$ADDRESS")
        sed -e "s#^host=.*#host=$HOST#" -e "s#^proxyPort=.*#proxyPort=$PROXY_PORT#" \
            -e "s#^httpPort=.*#httpPort=$HTTP_PORT#" -e "s#^httpsPort=.*#httpsPort=$HTTPS_PORT#" "$1"
        ;;
    *)
        sed -e "s#^\(mirrorlist=http://\)[^/]*/m/#\1$URL_HOST:$HTTP_PORT/m/#" \
            -e "s#^\(mirrorlist=https://\)[^/]*/m/#\1$URL_HOST:$HTTPS_PORT/m/#" \
            -e "s#^\(URIs: mirror+http://\)[^/]*/m/#\1$URL_HOST:$HTTP_PORT/m/#" \
            -e "s#^\(URIs: mirror+https://\)[^/]*/m/#\1$URL_HOST:$HTTPS_PORT/m/#" \
            -e "s#^\(Acquire::https*::Proxy::\)[^ ]* #\1$HOST #" \
            -e "s#^\(Acquire::https::\)[^ ]*\(::CaInfo \)#\1$HOST\2#" \
            -e "s#^\(Acquire::https::\)[^ ]*\(::Verify-Peer \)#\1$HOST\2#" \
            -e "s#^\(Acquire::https::\)[^ ]*\(::Verify-Host \)#\1$HOST\2#" "$1"
        ;;
    esac
}

# new_of FILE: where its new text lies; two package managers may use one base name.
new_of() { printf '%s/new/%s' "$WORK" "$(printf '%s' "$1" | tr / _)"; }

mkdir "$WORK/new"
CHANGED=''
for file in $FILES; do
    case $file:$HOST in
    */90stationmaster:*:*) cp "$file" "$(new_of "$file")" ;; # an IPv6 address cannot stand in apt's option names
    *) point "$file" >"$(new_of "$file")" ;;
    esac
    cmp -s "$(new_of "$file")" "$file" || CHANGED="$CHANGED $file"
done
rehearse
if [ -z "$CHANGED" ]; then
    say "This instance points at $HOST already; nothing to change."
    exit 0
fi
if [ "$DRY_RUN" = yes ]; then
    for file in $CHANGED; do
        say "would change $file:"
        diff "$file" "$(new_of "$file")" | sed -n 's/^[<>]/ &/p'
    done
    exit 0
fi

# --- switch, or everything back ------------------------------------------------------------------------------------

for file in $CHANGED; do
    mkdir -p "$UNDO${file%/*}"
    cp -p "$file" "$UNDO$file"
done
: >"$UNDO/complete"
for file in $CHANGED; do
    put "$(new_of "$file")" "$file"
    say "changed $file"
done
reaches_hub || die "The hub does not answer over the new address."
rm -f "$UNDO/complete"
rm -rf "$UNDO"
say "This instance points at $HOST now: proxy $PROXY_PORT, HTTP $HTTP_PORT, HTTPS $HTTPS_PORT."
