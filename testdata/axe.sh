#!/bin/sh
# Fetches axe-core, which finds faults of accessibility, from the npm registry into the
# cache folder. It is used by the tests of the portal alone.
set -eu
version=4.14.1
cache=${POSTERN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern}
to=$cache/axe-core-$version
[ -s "$to/axe.min.js" ] && exit 0
mkdir -p "$cache"
work=$(mktemp -d "$cache/axe.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "axe-core@$version" >/dev/null
tar -xzf axe-core-*.tgz
mkdir -p "$to"
mv package/axe.min.js "$to/axe.min.js.new"
mv "$to/axe.min.js.new" "$to/axe.min.js"
