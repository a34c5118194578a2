#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Owns the nats-server binaries that the tests run against: one per series below, kept in a cache outside the tree.
# Prints "version=path" lines on stdout, newest first, the form NBJ_SERVERS takes; everything else goes to stderr.
#
#   servers.sh [SERIES...]            what the cache lacks is fetched; what it has is used without any network
#   servers.sh --refresh [SERIES...]  fetches them again (the newest moves)
#
# Without SERIES all of them: newest, 2.10, 2.9.
#
# The packages come from the Debian mirror this machine already uses, through a private apt configuration: the
# system's sources and lists are neither read for them nor written. Signatures are checked by the system's keyring.
set -euo pipefail

HERE=$(dirname "${BASH_SOURCE[0]}")
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/nbj/nats-server"
# The Debian suite that carries a series.
declare -A SUITE=([newest]=forky [2.10]=trixie [2.9]=bookworm)

say() { printf 'servers: %s\n' "$*" >&2; }

# The version a binary reports about itself, or nothing when it does not run.
version_of() { "$1" --version 2>/dev/null | sed -n 's/^nats-server: v\{0,1\}\([0-9][0-9.]*\).*/\1/p'; }

# True when version $2 belongs to series $1; "newest" is whatever is later than the named series.
in_series() {
    case "$1:$2" in
    newest:2.9.* | newest:2.10.*) return 1 ;;
    newest:*) printf '%s\n' 2.10 "$2" | sort -CV ;;
    *) [[ $2 == "$1".* ]] ;;
    esac
}

# Versions in the cache whose binary still says so, newest first.
cached_versions() {
    local dir version
    for dir in "$CACHE"/*/; do
        version=$(basename "$dir")
        [[ $(version_of "$dir/nats-server") == "$version" ]] && printf '%s\n' "$version"
    done | sort -rV
}

# The newest version of series $1 in the cache; fails when there is none.
cached_of() {
    local version
    for version in $(cached_versions); do
        if in_series "$1" "$version"; then
            printf '%s\n' "$version"
            return 0
        fi
    done
    return 1
}

# Copies binary $1 into the cache under the version it reports. A rename puts it in place, so readers never see half.
keep() {
    local version staged
    version=$(version_of "$1")
    [[ -n $version ]] || { say "$1 does not run on this machine"; return 1; }
    mkdir -p "$CACHE/$version"
    staged=$(mktemp "$CACHE/$version/.new.XXXXXX")
    cp "$1" "$staged"
    chmod 755 "$staged"
    mv -f "$staged" "$CACHE/$version/nats-server"
    say "have $version"
}

# Unpacks the one .deb in directory $1 and keeps its server.
keep_from_package() {
    local binary
    dpkg -x "$1"/nats-server_*.deb "$1/root" || return 1
    binary=$(find "$1/root" -type f -name nats-server -perm -u+x | head -n 1)
    [[ -n $binary ]] && keep "$binary"
}

# Sites of this machine that serve Debian's main archive, in apt's own order.
debian_sites() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(SITE)' 2>/dev/null |
        awk -F'|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" && !seen[$4]++ { print $4 }'
}

# Writes into directory $1 an apt configuration that has suite $3 of site $2 and nothing of the system's state.
# It is read after the system's own (so a proxy set there holds) and drops the hooks that would touch the system. A mirror
# that lags behind is good enough for a test server: its lists may be past their date, their signatures must hold.
private_apt_config() {
    local keyring="" file
    for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        [[ -r $file ]] && keyring="[signed-by=$file] " && break
    done
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    printf 'deb %s%s %s main\n' "$keyring" "$2" "$3" >"$1/sources.list"
    cat >"$1/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "-";
Dir::State::lists "$1/lists";
Dir::Cache "$1/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
APT::Update::Error-Mode "any";
APT::Get::AllowUnauthenticated "false";
CONF
    # Root's private directory is closed to apt's download user; without this apt warns and goes on as root anyway.
    [[ $(id -u) != 0 ]] || printf 'APT::Sandbox::User "root";\n' >>"$1/apt.conf"
}

# Fetches nats-server of suite $2 from site $1 into the cache.
fetch_from() {
    local dir log status=0
    dir=$(mktemp -d)
    log="$dir/log"
    private_apt_config "$dir" "$1" "$2"
    {
        apt-get -qq -c "$dir/apt.conf" update &&
            (cd "$dir" && apt-get -qq -c "$dir/apt.conf" download nats-server)
    } >"$log" 2>&1 && keep_from_package "$dir" || status=1
    if ((status)); then
        sed 's/^/servers:   /' "$log" >&2
        ! grep -q NO_PUBKEY "$log" || say "an upgrade of the package debian-archive-keyring brings the newer keys"
    fi
    rm -rf "$dir"
    return "$status"
}

# One series ($1) from its suite ($2), trying each of the machine's Debian sites.
fetch_series() {
    local site
    for site in $(debian_sites); do
        say "fetching $1 (suite $2 of this machine's Debian mirror)"
        fetch_from "$site" "$2" && return 0
    done
    [[ -n ${site:-} ]] || say "no site of Debian's main archive among this machine's apt sources"
    return 1
}

# The distribution's own package: what other distributions have instead of the three suites.
fetch_own_package() {
    local dir status=0
    dir=$(mktemp -d)
    (cd "$dir" && apt-get -qq download nats-server) >/dev/null 2>&1 && keep_from_package "$dir" || status=1
    rm -rf "$dir"
    return "$status"
}

# Whatever this machine offers by itself, for when a series could not be had.
fall_back() {
    local own
    fetch_own_package && return
    own=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nats-server) || return 0
    say "falling back to $own"
    keep "$own" || true
}

# Fetches what the wanted series lack, or all of them when $1 is --refresh.
fetch_wanted() {
    local series missing=0
    for series in "${WANTED[@]}"; do
        if [[ $1 == --refresh ]] || ! cached_of "$series" >/dev/null; then
            "$HERE/need.sh" lists || true # apt names its sites once it has read their lists
            fetch_series "$series" "${SUITE[$series]}" || missing=1
        fi
    done
    ((missing == 0)) || fall_back
}

# One line per wanted series; when none of them is had, whatever there is.
report() {
    local series version versions=""
    for series in "${WANTED[@]}"; do
        if version=$(cached_of "$series"); then
            versions+="$version "
        else
            say "!!! NOT AVAILABLE: nats-server $series; what is tested with it is left out"
        fi
    done
    for version in ${versions:-$(cached_versions)}; do
        printf '%s=%s\n' "$version" "$CACHE/$version/nats-server"
    done
    [[ -n ${versions:-$(cached_versions)} ]] || { say "no nats-server at all"; return 1; }
}

mode=--missing
if [[ ${1:-} == --refresh ]]; then
    mode=$1
    shift
fi
WANTED=("$@")
((${#WANTED[@]} > 0)) || WANTED=(newest 2.10 2.9)
for series in "${WANTED[@]}"; do
    [[ -n ${SUITE[$series]:-} ]] || { say "no series $series; there are: ${!SUITE[*]}"; exit 2; }
done

mkdir -p "$CACHE"
exec 9>"$CACHE/.lock"
flock 9 # two runs at once must not fetch twice
fetch_wanted "$mode"
report
