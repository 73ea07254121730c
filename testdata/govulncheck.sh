#!/bin/sh
# Looks for known vulnerabilities that our code can reach. One in a module fails; one in
# the standard library is named with the Go that mends it, because the Go that builds is
# the machine's.
#
#     testdata/govulncheck.sh DATABASE-URL
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT
go tool govulncheck -db "$1" -format json ./... >"$out"
node - "$out" <<'EOF'
const text = require("fs").readFileSync(process.argv[2], "utf8");
// The output is one JSON value after another, each ending with a brace at a line's start.
const found = new Map();
for (const part of text.split(/^}$/m)) {
  if (!part.trim()) continue;
  const f = JSON.parse(part + "}").finding;
  if (f && f.trace[0].function) found.set(f.osv, f);
}
let bad = 0;
const std = new Map();
for (const f of found.values()) {
  const t = f.trace[0];
  if (t.module === "stdlib") { std.set(f.fixed_version, [...(std.get(f.fixed_version) || []), f.osv]); continue; }
  console.error(`${f.osv}: ${t.module} ${t.version}, mended in ${f.fixed_version || "no version yet"}; reached through ${t.package}.${t.function}`);
  bad++;
}
for (const [version, list] of std) console.error(`note: build with Go ${version.slice(1)} or later, which mends ${list.join(", ")}`);
if (bad) process.exit(1);
console.log("no module that is used has a known vulnerability in code that is reached");
EOF
