#!/bin/sh
# Fetches the HAProxy series that Postern is tested with, as Debian packages them, each
# with its own C library, into a cache folder. Nothing is installed on the machine.
#
#   testdata/haproxy.sh [2.6|3.0|3.2 ...]      all three when none is named
#   testdata/haproxy.sh --mirrors | --security-mirrors
#
# A series lands in <cache>/haproxy-<series>/, where `haproxy` is a wrapper that starts
# the real program with its own dynamic linker and libraries. <cache> is
# ${POSTERN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern}. What is there already is kept.
#
# The mirror is the one in the machine's own apt sources. Packages are verified: apt
# checks each suite against Debian's archive keyring. Where that keyring is too old for a
# suite, the keyring package of the suite before, itself verified, hands the new keys on.
set -eu
export LC_ALL=C

cache=${POSTERN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern}

say() { printf 'haproxy.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# suites_of SERIES prints the suites that may carry it, the likeliest first.
suites_of() {
	case $1 in
	2.6) echo bookworm ;;
	3.0) echo trixie ;;
	3.2) echo forky trixie-backports ;;
	*) die "unknown series $1: it is 2.6, 3.0 or 3.2" ;;
	esac
}

# sources prints one line "TYPE SUITE URI SIGNED-BY" for each binary source of the
# machine, from its one-line and its deb822 files. SIGNED-BY is - when there is none.
sources() {
	eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
	for f in "$list" "$parts"*.list; do
		[ -f "$f" ] || continue
		awk '$1 == "deb" {
			line = $0; sub(/#.*/, "", line); key = "-"
			if (match(line, /\[[^]]*\]/)) {
				opts = substr(line, RSTART + 1, RLENGTH - 2)
				line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
				n = split(opts, o, " ")
				for (i = 1; i <= n; i++) if (o[i] ~ /^signed-by=/) key = substr(o[i], 11)
			}
			n = split(line, p, " ")
			for (i = 4; i <= n; i++) if (p[i] == "main") { print "deb", p[3], p[2], key; break }
		}' "$f"
	done
	for f in "$parts"*.sources; do
		[ -f "$f" ] || continue
		# The awk line that follows ends the last paragraph of a file without a blank line.
		{ grep -v '^#' "$f" || true; echo; } | awk '
			function flush(  i, j, s, u, ns, nu) {
				if (types ~ /(^| )deb( |$)/ && comps ~ /(^| )main( |$)/ && enabled !~ /^(no|false|0|off)/) {
					ns = split(suites, s, " "); nu = split(uris, u, " ")
					for (j = 1; j <= nu; j++) for (i = 1; i <= ns; i++)
						print "deb", s[i], u[j], (key == "" || key ~ /BEGIN PGP/) ? "-" : key
				}
				types = uris = suites = comps = key = ""; enabled = "yes"; field = ""
			}
			BEGIN { enabled = "yes" }
			/^[ \t]*$/ { flush(); next }
			/^[^ \t]/ { field = tolower($1); sub(/^[^:]*:[ \t]*/, "") }
			{ v = $0; gsub(/^[ \t]+|[ \t]+$/, "", v) }
			field == "types:" { types = types " " v }
			field == "uris:" { uris = uris " " v }
			field == "suites:" { suites = suites " " v }
			field == "components:" { comps = comps " " v }
			field == "enabled:" { enabled = tolower(v) }
			field == "signed-by:" { key = (key == "" ? "" : key " ") v; sub(/ .*/, "", key) }
			END { flush() }'
	done
}

# mirrors prints the URIs that serve Debian's own suites, those whose entry names
# Debian's keyring first; mirrors security prints those of the security archive.
mirrors() {
	sources | awk -v kind="${1:-}" '
		{ suite = $2; security = (suite ~ /[-\/]security$/ || suite ~ /\/updates$/); sub(/[-\/].*/, "", suite) }
		suite !~ /^(bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable)$/ { next }
		$3 !~ /^(https?|mirror\+|mirror|copy|file|ftp|tor\+)/ { next }
		security != (kind == "security") { next }
		!seen[$3]++ { if ($4 ~ /debian-archive/) print $3; else late[++n] = $3 }
		END { for (i = 1; i <= n; i++) print late[i] }'
}

# keyrings prints the files with the keys of Debian's archive.
keyrings() {
	for f in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp \
		"$cache"/keyrings/*.gpg "$cache"/keyrings/*.pgp; do
		if [ -f "$f" ]; then printf '%s\n' "$f"; fi
	done
}

# private runs an apt program on the configuration in $apt and on nothing else of the
# machine's: own sources, own lists, an empty set of installed packages.
private() {
	program=$1
	shift
	"$program" -q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::Etc::preferencesparts=/dev/null -o Dir::Etc::preferences=/dev/null \
		-o Dir::State="$apt/state" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
		-o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false \
		-o APT::Default-Release= -o Acquire::Languages=none -o Acquire::Retries=3 \
		-o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false "$@"
}

# update points $apt at one suite of one mirror with one keyring, and reads its index.
update() {
	rm -rf "$apt"
	mkdir -p "$apt/state" "$apt/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	printf 'deb [signed-by=%s] %s %s main\n' "$3" "$1" "$2" >"$apt/sources.list"
	private apt-get update -o APT::Update::Error-Mode=any >"$apt/log" 2>&1 || return 1
	case $2 in *-*) return 0 ;; esac
	# Security updates are welcome, and no reason to fail.
	security=$(mirrors security | head -n 1)
	[ -n "$security" ] || return 0
	cp "$apt/sources.list" "$apt/plain"
	printf 'deb [signed-by=%s] %s %s-security main\n' "$3" "$security" "$2" >>"$apt/sources.list"
	private apt-get update -o APT::Update::Error-Mode=any >>"$apt/log" 2>&1 && return 0
	cp "$apt/plain" "$apt/sources.list"
	private apt-get update -o APT::Update::Error-Mode=any >>"$apt/log" 2>&1
}

# open makes $apt ready for a suite: the first mirror and keyring that verify it.
open() {
	for uri in $(mirrors); do
		for key in $(keyrings); do
			if update "$uri" "$1" "$key"; then return 0; fi
		done
	done
	tail -n 5 "$apt/log" >&2 2>/dev/null || true
	return 1
}

# hand_on_keys keeps the keyring of the suite in $apt, for suites that are signed with
# newer keys than the machine knows.
hand_on_keys() {
	(cd "$apt/cache" && private apt-get download debian-archive-keyring >>"$apt/log" 2>&1) || return 0
	rm -rf "$apt/keys"
	dpkg-deb -x "$apt"/cache/debian-archive-keyring_*.deb "$apt/keys"
	mkdir -p "$cache/keyrings"
	for f in "$apt"/keys/usr/share/keyrings/debian-archive-keyring.gpg "$apt"/keys/usr/share/keyrings/debian-archive-keyring.pgp; do
		[ -f "$f" ] || continue
		cp -L "$f" "$cache/keyrings/.new$$" && mv "$cache/keyrings/.new$$" "$cache/keyrings/$1.${f##*.}"
	done
}

# candidate prints the version of HAProxy that the suite in $apt offers.
candidate() {
	private apt-cache policy haproxy | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

# unpack fetches HAProxy with every library it needs from $apt into the folder $1.
unpack() {
	packages=$(private apt-get install -s haproxy | awk '$1 == "Inst" && ($2 == "haproxy" || $2 ~ /^lib/) { print $2 }')
	[ -n "$packages" ] || die "apt finds no way to install haproxy"
	mkdir -p "$1/root" "$apt/debs"
	# shellcheck disable=SC2086 # one word for each package
	(cd "$apt/debs" && private apt-get download $packages >>"$apt/log" 2>&1) || {
		tail -n 5 "$apt/log" >&2
		die "the packages of HAProxy could not be fetched"
	}
	for deb in "$apt"/debs/*.deb; do dpkg-deb -x "$deb" "$1/root"; done
	linker=$(cd "$1/root" && find . -name 'ld-linux*.so.*' -type f | head -n 1)
	libs=$(cd "$1/root" && find . -name 'lib*.so*' -exec dirname {} \; | sort -u | sed 's,^\./,$here/root/,' | paste -sd: -)
	[ -n "$linker" ] || die "the packages hold no dynamic linker"
	cat >"$1/haproxy" <<-END
		#!/bin/sh
		here=\$(dirname "\$(readlink -f "\$0")")
		exec "\$here/root/$linker" --library-path "$libs" "\$here/root/usr/sbin/haproxy" "\$@"
	END
	chmod 755 "$1/haproxy"
}

# series_of prints the series that a HAProxy says it is.
series_of() { "$1" -v 2>/dev/null | awk 'NR == 1 { split($3, v, "."); print v[1] "." v[2] }'; }

# fetch brings one series.
fetch() {
	dir=$cache/haproxy-$1
	if [ -x "$dir/haproxy" ] && [ "$(series_of "$dir/haproxy")" = "$1" ]; then
		say "$1 is there: $dir"
		return 0
	fi
	tmp=$cache/.new-$1.$$
	apt=$tmp/apt
	seen=
	for suite in $(suites_of "$1"); do
		say "$1: reading Debian's $suite"
		if ! open "$suite"; then
			seen="$seen $suite (not readable)"
			continue
		fi
		hand_on_keys "$suite"
		have=$(candidate)
		case $have in
		"$1".* | *:"$1".*) ;;
		*) seen="$seen $suite (${have:-none})"; continue ;;
		esac
		say "$1: fetching $have"
		unpack "$tmp/new"
		got=$(series_of "$tmp/new/haproxy")
		[ "$got" = "$1" ] || die "$1: what was unpacked says that it is ${got:-nothing}"
		rm -rf "$dir"
		mv "$tmp/new" "$dir"
		rm -rf "$tmp"
		say "$1: $dir"
		return 0
	done
	rm -rf "$tmp"
	die "no suite has HAProxy $1:$seen"
}

case ${1:-} in
--mirrors) mirrors; exit ;;
--security-mirrors) mirrors security; exit ;;
esac
for tool in apt-get apt-config dpkg-deb flock awk; do
	command -v "$tool" >/dev/null || die "$tool is missing; this script needs Debian or a system made of it"
done
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 || die "cannot lock $cache"
trap 'rm -rf "$cache"/.new-*.$$' EXIT
trap 'exit 130' INT TERM
[ -n "$(mirrors)" ] || die "no source of this machine serves Debian's own suites"
[ $# -gt 0 ] || set -- 2.6 3.0 3.2
for series; do fetch "$series"; done
