#!/bin/sh
# Fetches OpenLDAP's slapd for the tests of directories, as Debian packages it, into a
# cache folder. Nothing is installed or started on the machine.
#
#   testdata/slapd.sh
#
# A slapd that the machine has already will do, unless AppArmor keeps it from the folders
# of the tests. Else the package and those it needs and the
# machine lacks are downloaded from the machine's own apt sources, which apt verifies, and
# unpacked into <cache>/slapd/root; <cache>/slapd/slapd is a wrapper that starts the program
# with these libraries. <cache> is ${POSTERN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern}.
set -eu
export LC_ALL=C

cache=${POSTERN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern}

say() { printf 'slapd.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# works says whether a program is a slapd that starts.
works() { [ -x "$1" ] && "$1" -VV 2>&1 | grep -q OpenLDAP; }

# confined says whether the machine's own slapd may read and write its own folders alone.
confined() {
	[ -n "${POSTERN_SLAPD_OWN:-}" ] && return 0
	[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && [ -e /etc/apparmor.d/usr.sbin.slapd ]
}

if ! confined; then
	for program in /usr/sbin/slapd /usr/lib/openldap/slapd; do
		if works "$program"; then exit 0; fi
	done
fi
if works "$cache/slapd/slapd"; then exit 0; fi
for tool in apt-get dpkg-deb flock; do
	command -v "$tool" >/dev/null || die "$tool is missing; install OpenLDAP's slapd in another way"
done

mkdir -p "$cache"
exec 9>"$cache/.slapd.lock"
flock 9 || die "cannot lock $cache"
tmp=$cache/.new-slapd.$$
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$tmp/debs" "$tmp/slapd/root"

# wanted prints slapd and what the machine lacks of what it needs.
wanted() {
	echo slapd
	apt-get install -s --no-install-recommends slapd 2>/dev/null | awk '$1 == "Inst" && $2 ~ /^lib/ { print $2 }'
}

# download fetches the packages, once more with fresh indexes when the first try fails.
download() {
	# shellcheck disable=SC2046 # one word for each package
	(cd "$tmp/debs" && apt-get download -q $(wanted) >"$tmp/log" 2>&1)
}

say "fetching Debian's slapd"
if ! download; then
	[ "$(id -u)" = 0 ] && apt-get update -q >"$tmp/log" 2>&1 || true
	download || {
		tail -n 5 "$tmp/log" >&2
		die "the packages of slapd could not be fetched; run apt-get update, or install slapd"
	}
fi
for deb in "$tmp"/debs/*.deb; do dpkg-deb -x "$deb" "$tmp/slapd/root"; done
libs=$(cd "$tmp/slapd/root" && find . -name 'lib*.so*' -exec dirname {} \; | sort -u | sed 's,^\./,$here/root/,' | paste -sd: -)
cat >"$tmp/slapd/slapd" <<END
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
LD_LIBRARY_PATH="$libs" exec "\$here/root/usr/sbin/slapd" "\$@"
END
chmod 755 "$tmp/slapd/slapd"
works "$tmp/slapd/slapd" || die "what was unpacked does not start"
rm -rf "$cache/slapd"
mv "$tmp/slapd" "$cache/slapd"
say "$cache/slapd"
