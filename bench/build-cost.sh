# Sourced by bench/run: builds a fresh clone without ccache, and counts the instructions of every translation unit.
machine
echo "method: git clone of HEAD, cmake --preset default without ccache, -j2; then perf stat -e instructions:u on each compile command"
scripts/install-packages core figures || return 1
held=0 total=3
clone=$(mktemp -d)
git clone -q . "$clone" || return 1
(
  cd "$clone" || exit 1
  export CCACHE_DISABLE=1
  started=$SECONDS
  cmake --preset default >/dev/null && cmake --build --preset default --target flexpert -- -j2 >build.log 2>&1 || { tail -20 build.log; exit 1; }
  echo "$((SECONDS - started))" >program_s
  cmake --build --preset default -- -j2 >build.log 2>&1 || { tail -20 build.log; exit 1; }
  echo "$((SECONDS - started))" >all_s
) || { rm -rf "$clone"; verdict build-cost 0 3; return 1; }
program_s=$(cat "$clone/program_s") all_s=$(cat "$clone/all_s")
check() { # NAME VALUE UNIT BAR
  if [ "$2" -le "$4" ]; then held=$((held + 1)); echo "build-cost.$1 $2 $3 bar <=$4: holds"; else echo "build-cost.$1 $2 $3 bar <=$4: falls short"; fi
}
check program_s "$program_s" s 240
check all_s "$all_s" s 600
if command -v perf >/dev/null; then
  largest=$(CCACHE_DISABLE=1 python3 - "$clone/build/default/compile_commands.json" <<'PY'
import json, re, subprocess, sys
top = (0, "")
for entry in json.load(open(sys.argv[1])):
    command = re.sub(r"^\S*ccache ", "", entry["command"])
    command = re.sub(r" -o \S+ ", " -o /dev/null ", command)
    out = subprocess.run("perf stat -x, -e instructions:u " + command, shell=True, cwd=entry["directory"], stderr=subprocess.PIPE, text=True).stderr
    found = re.search(r"(\d+),[^,]*,instructions:u", out)
    if found: top = max(top, (int(found.group(1)), entry["file"].split("/default/")[-1]))
print(-(-top[0] // 10**8) / 10, top[1].split("/", 3)[-1])
PY
)
  value=${largest%% *}
  if awk "BEGIN{exit !($value > 0 && $value <= 20)}"; then held=$((held + 1)); word=holds; else word='falls short'; fi
  echo "build-cost.largest_tu_ginstructions $value G(${largest#* }) bar <=20: $word"
else
  echo "build-cost.largest_tu_ginstructions skipped G bar <=20: falls short (perf is missing: scripts/install-packages bench)"
fi
rm -rf "$clone"
verdict build-cost $held $total
