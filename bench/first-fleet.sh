# Sourced by bench/run: runs the quick start's story and holds its figures to the bars.
machine
echo "method: ./quickstart --json; paced expert servers, open-loop traffic in phases; latencies over all samples of a phase"
scripts/install-packages figures && build flexpert || return 1
figures=$(mktemp)
"$build/bin/flexpert" demo -c examples/first-fleet.yaml --json "$figures" >&2 </dev/null
exit_code=$?
python3 - "$figures" "$exit_code" <<'PY'
import json, sys
try:
    figures = json.load(open(sys.argv[1]))
except ValueError:
    figures = {}
held = total = 0
def figure(name, value, unit, bar, holds):
    global held, total
    total += 1; held += bool(holds)
    print(f"first-fleet.{name} {value} {unit} bar {bar}: {'holds' if holds else 'falls short'}")
get = figures.get
figure("exit_code", sys.argv[2], "code", "0", sys.argv[2] == "0")
figure("failed", get("failed", "skipped"), "requests", "0", get("failed") == 0 and get("requests", 0) > 0)
figure("expert_scale_ups", get("expert_scale_ups", "skipped"), "actions", ">=1", get("expert_scale_ups", 0) >= 1)
figure("expert_scale_downs", get("expert_scale_downs", "skipped"), "actions", ">=1", get("expert_scale_downs", 0) >= 1)
before, after = get("itl_p95_before_ms"), get("itl_p95_after_ms")
figure("itl_p95_after_ms", after if after is not None else "skipped", "ms", f"<{before}", before is not None and after is not None and after < before)
for name in ("requests", "tokens", "ttft_p50_ms", "ttft_p95_ms", "itl_p50_ms", "itl_p95_ms", "paced"):
    print(f"first-fleet.{name} {get(name, 'missing')}")
print(f"first-fleet {held}/{total}: {'holds' if held == total else 'falls short'}")
sys.exit(0 if held == total else 1)
PY
code=$?
rm -f "$figures"
return $code
