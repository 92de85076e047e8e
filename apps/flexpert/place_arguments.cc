#include "flexpert/place_arguments.h"

#include <fmt/format.h>

#include "flexpert/place_values.h"

namespace flexpert::app {

namespace {

using namespace argument;

constexpr double kMostDevices = 65535;
constexpr double kMostSlots = 1048576;
constexpr double kMost32 = 4294967295.0;
constexpr double kMost53 = 9007199254740992.0;

const char* const kCountsHelp =
    "counts of tokens per expert: JSON with \"logical_count\", .npy, .csv, SGLang's .pt dump, a routing file (..._top8.u8.gz); - is stdin; "
    "FILE#a.b[0] names a part of a bundle; or http://HOST:PORT, unix:PATH of a running engine";
const char* const kLayoutHelp =
    "layout: a plan of ours, SGLang's JSON with \"physical_to_logical_map\", vLLM's expert map, \"trivial\"; a file, - for stdin, inline "
    "JSON, or the "
    "address of a controller";

void add(Arguments& all, Arguments more) {
  for (Argument& one : more) all.push_back(std::move(one));
}

Arguments cluster_arguments(PlaceClusterOptions& c) {
  Argument speeds{"--speeds", "LIST", "relative speeds: of every device (1,1,0.5) or of some (3:0.5,7:0.8)", false, false, "",
                       [&c](const std::string& given) { return parse_speeds(given, c); }};
  return {
      count("--devices", c.devices, 1, kMostDevices, "GPUs (EP ranks, expert servers)"),
      count("--nodes", c.nodes, 1, kMostDevices, "nodes of equal size; tokens travel fast within one (default: 1, or the plan's)"),
      count("--hosts", c.hosts, 1, kMostDevices, "failure domains of equal size (default: the nodes)"),
      count("--slots", c.slots, 1, kMostSlots, "physical experts of a layer on each device (default: one more than without redundancy)"),
      count("--redundant", c.redundant, 0, kMostSlots, "physical experts of a layer over one per expert, instead of --slots"),
      list("--device-slots", c.device_slots, kMostSlots, "slots of every device, where they differ"),
      list("--dead", c.dead, kMostDevices, "devices that are lost; their slots stay empty"),
      std::move(speeds)};
}

Arguments routing_arguments(PlaceOptions& o) {
  return {count("--experts", o.experts, 0, 65536, "experts of a layer in a routing file (0: from the highest in it)"),
          count("--top-k", o.top_k, 0, 256, "experts of a token in a routing file (0: from its name, x_top8.u8.gz)")};
}

Argument output(PlaceOptions& o, std::string help) { return text("-o,--out", o.output, std::move(help), "FILE"); }

Argument json(PlaceOptions& o) { return flag("--json", o.json, "print JSON instead of tables"); }

PlaceVerbArguments plan(PlaceOptions& o) {
  Argument cases{"--case",
                      "NAME=FILE:WEIGHT",
                      "one more load that the plan has to serve (mode robust); may be repeated",
                      false,
                      true,
                      "",
                      [&o](const std::string& given) { return parse_case(given, o.cases.emplace_back()); }};
  Argument max_moves =
      number("--max-moves", 0, kMost53, true, "", "slots that may change", [&o](double v) { o.max_moves = static_cast<std::uint64_t>(v); });
  Argument max_bytes{
      "--max-bytes", "BYTES", "weights that may travel; needs --bytes-per-expert", false, false, "", [&o](const std::string& given) {
        return parse_bytes(given, o.max_bytes.emplace());
      }};
  PlaceVerbArguments verb{PlaceVerb::kPlan, "plan", "Plan replicas and devices for the experts of a load", "", {}};
  add(verb.arguments, {required(text("counts", o.counts, kCountsHelp, "COUNTS"))});
  add(verb.arguments, cluster_arguments(o.cluster));
  add(verb.arguments,
      {choice("--mode", o.mode, {"quality", "exact", "incremental", "semi", "robust"},
              "quality, exact (DeepSeek EPLB slot for slot), incremental, semi, robust (default: incremental with --current, robust with "
              "--case, --each-window or --speeds, else quality)"),
       count("--groups", o.groups, 1, 65536, "groups of experts, by consecutive numbers (modes exact and semi)"),
       real("--affinity", o.affinity, 0, 1000, "mode semi: balancedness that sending all load across nodes would cost (default: 0.1)"),
       choice("--objective", o.objective, {"mean", "worst"}, "mode robust: weighted mean of the cases, or the worst of them"),
       std::move(cases),
       flag("--each-window", o.each_window, "take every window (step) of COUNTS as a load of its own (mode robust), instead of their sum"),
       text("--current", o.current, "layout in force, to change as little as needed", "LAYOUT"), std::move(max_moves),
       real("--max-moves-percent", o.max_moves_percent, 0, 100, "the same as a share of all slots"), std::move(max_bytes),
       bytes("--bytes-per-expert", o.bytes_per_expert, "weights of one expert of one layer"),
       text("--cost", o.cost,
            "what imbalance costs: deepseek-v3-decode, deepseek-v3-prefill, a CSV file, or none (any gain is worth its moves)", "TABLE"),
       real("--tokens-per-device", o.tokens_per_device, 1e-3, 1e9, "tokens of a step on one device, for --cost"),
       real("--steps", o.steps, 1, 1e15, "steps that the plan is expected to be in force, for --cost"),
       real("--node-gb-per-s", o.node_gb_per_s, 1e-6, 1e6, "link of a device within its node, for --cost (default: moves are free)"),
       real("--cross-gb-per-s", o.cross_gb_per_s, 1e-6, 1e6, "link of a device to other nodes, for --cost (default: moves are free)"),
       real("--least-gain", o.least_gain, 0, 1, "of balancedness, below which nothing is changed")});
  add(verb.arguments, routing_arguments(o));
  add(verb.arguments, {output(o, "write the plan to this file (- is stdout)"),
                       choice("--format", o.format, {"ours", "sglang", "vllm", "ascend"}, "of that file (default: ours)"),
                       text("--html", o.html, "write a report: one self-contained page", "FILE"),
                       count("--rows", o.rows, 0, 1000000, "lines of long tables"), json(o)});
  verb.examples =
      "Examples:\n  flexpert place plan loads.json --devices 32 --nodes 4 --slots 9 -o plan.json --html report.html\n"
      "  flexpert place plan dump.pt --devices 32 --nodes 4 --redundant 32 --mode exact --groups 8 -o location.json --format sglang\n"
      "  flexpert place plan loads.json --current plan.json --max-moves-percent 10 -o next.json\n"
      "  flexpert place plan http://127.0.0.1:8000 --devices 4\n"
      "  flexpert place plan prefill.npy --case decode=decode.npy:3 --devices 16 --objective worst --dead 3,5";
  return verb;
}

PlaceVerbArguments diff(PlaceOptions& o) {
  PlaceVerbArguments verb{PlaceVerb::kDiff, "diff", "Show the moves between two layouts", "", {}};
  add(verb.arguments, {required(text("from", o.layout, kLayoutHelp, "FROM")), required(text("to", o.other, "layout", "TO"))});
  add(verb.arguments, cluster_arguments(o.cluster));
  add(verb.arguments, {text("--counts", o.counts, "also compare the balance under these counts", "COUNTS"),
                       bytes("--bytes-per-expert", o.bytes_per_expert, "weights of one expert of one layer"),
                       count("--rows", o.rows, 0, 1000000, "moves to list"), json(o)});
  verb.examples =
      "Examples:\n  flexpert place diff plan.json next.json --nodes 4 --bytes-per-expert 44MB\n"
      "  flexpert place diff trivial plan.json --rows 100\n  flexpert place diff old-location.json new-location.json --devices 32 --json";
  return verb;
}

PlaceVerbArguments size(PlaceOptions& o) {
  PlaceVerbArguments verb{PlaceVerb::kSize, "size", "Find how many redundant slots a balancedness needs", "", {}};
  add(verb.arguments,
      {required(text("counts", o.counts, kCountsHelp, "COUNTS")), required(count("--devices", o.cluster.devices, 1, kMostDevices, "GPUs")),
       count("--nodes", o.cluster.nodes, 1, kMostDevices, "nodes of equal size"),
       real("--target", o.target, 0.01, 1, "balancedness to reach, mean of the layers"),
       count("--max-redundant", o.max_redundant, 0, kMostSlots, "slots of a layer over one per expert, at most (0: no limit)")});
  add(verb.arguments, routing_arguments(o));
  add(verb.arguments, {output(o, "write the sized plan to this file"),
                       choice("--format", o.format, {"ours", "sglang", "vllm", "ascend"}, "of that file (default: ours)"),
                       text("--html", o.html, "write a report: one self-contained page", "FILE"),
                       count("--rows", o.rows, 0, 1000000, "layers to list"), json(o)});
  verb.examples =
      "Examples:\n  flexpert place size loads.json --devices 32 --target 0.95\n  flexpert place size loads.npy --devices 8 --target 0.98 "
      "--max-redundant 64 --json";
  return verb;
}

PlaceVerbArguments evaluate(PlaceOptions& o) {
  PlaceVerbArguments verb{PlaceVerb::kEvaluate, "evaluate", "Say what a layout is worth under some counts", "", {}};
  add(verb.arguments,
      {required(text("layout", o.layout, kLayoutHelp, "LAYOUT")), required(text("counts", o.counts, kCountsHelp, "COUNTS"))});
  add(verb.arguments, cluster_arguments(o.cluster));
  add(verb.arguments, routing_arguments(o));
  add(verb.arguments, {text("--html", o.html, "write a report: one self-contained page", "FILE"),
                       count("--rows", o.rows, 0, 1000000, "layers to list"), json(o)});
  verb.examples =
      "Examples:\n  flexpert place evaluate plan.json loads.json\n  flexpert place evaluate location.json loads.pt --devices 32 --nodes 4\n"
      "  flexpert place evaluate trivial loads.json --devices 32 --slots 8\n  flexpert place evaluate plan.json http://127.0.0.1:8000 "
      "--dead 3";
  return verb;
}

PlaceVerbArguments replay(PlaceOptions& o) {
  PlaceVerbArguments verb{PlaceVerb::kReplay, "replay", "Play a routing file through recorder, re-planning and dispatch", "", {}};
  add(verb.arguments,
      {required(
           text("file", o.counts, "routing file: bytes [tokens][layers][top_k], plain or gzip, its index x_index.csv beside it", "FILE")),
       count("--devices", o.cluster.devices, 1, 65536, "GPUs (default: 8)"),
       count("--slots", o.cluster.slots, 1, 65536, "physical experts of a layer on each (default: one more than without redundancy)"),
       count("--window", o.window_tokens, 1, 1 << 24, "tokens of a window"),
       count("--concurrent", o.concurrent, 1, 65536, "requests of a topic that decode together"),
       choice("--dispatch", o.dispatch, {"static", "random", "round_robin", "least_loaded", "least_activated_experts", "locality_first"},
              "replica choice")});
  add(verb.arguments, routing_arguments(o));
  add(verb.arguments, {count("--rows", o.rows, 0, 1000000, "windows to list (the newest; 0: none)"),
                       output(o, "write the windows as CSV to this file"), json(o)});
  verb.examples = "Examples:\n  flexpert place replay data/routing/gptoss20b_decode_top4.u8.gz\n"
                  "  flexpert place replay decode_top8.u8.gz --devices 16 --slots 17 --experts 256 -o windows.csv";
  return verb;
}

PlaceVerbArguments convert(PlaceOptions& o) {
  PlaceVerbArguments verb{PlaceVerb::kConvert, "convert", "Convert counts or a layout to another form", "", {}};
  add(verb.arguments, {required(text("in", o.layout, "counts or a layout in any form that `plan` and `evaluate` read", "IN")),
                       required(text("out", o.other, "file to write; - is stdout", "OUT")),
                       choice("--to", o.format, {"ours", "sglang", "vllm", "ascend", "logical_count", "csv", "npy", "pt"},
                              "ours, sglang, vllm, ascend (layouts); logical_count, csv, npy, pt (counts) (default: by OUT's name)")});
  add(verb.arguments, cluster_arguments(o.cluster));
  add(verb.arguments, routing_arguments(o));
  verb.examples =
      "Examples:\n  flexpert place convert dump.pt loads.json --to logical_count\n  flexpert place convert plan.json location.json --to "
      "sglang\n"
      "  flexpert place convert location.json map.json --to vllm --devices 32\n  flexpert place convert loads.json loads.npy";
  return verb;
}

PlaceVerbArguments record(PlaceOptions& o) {
  PlaceVerbArguments verb{PlaceVerb::kRecord, "record", "Record the counts of a running engine, window by window", "", {}};
  add(verb.arguments,
      {required(text("url", o.counts, "http://HOST:PORT or unix:PATH of `flexpert serve` or SGLang", "URL")),
       real("--seconds", o.seconds, 0.1, 86400 * 30.0, "in all"),
       count("--windows", o.windows, 1, 100000, "windows of equal length that they make"),
       required(output(o, "file for {\"logical_count\": [windows][layers][experts]}; - is stdout")),
       choice("--via", o.via, {"auto", "loads", "sglang"},
              "loads: differences of /internal/expert-loads; sglang: its start, stop and dump endpoints (default: the first that answers)"),
       text("--dump-dir", o.dump_folder, "with SGLang: its SGLANG_EXPERT_DISTRIBUTION_RECORDER_DIR, where its dumps appear", "DIR"),
       json(o)});
  verb.examples = "Examples:\n  flexpert place record http://127.0.0.1:8000 --seconds 60 -o loads.json\n"
                  "  flexpert place record unix:/run/model.sock --seconds 600 --windows 10 -o windows.json\n"
                  "  flexpert place record http://127.0.0.1:30000 --via sglang --dump-dir /tmp --seconds 60 -o loads.json";
  return verb;
}

PlaceVerbArguments explain(PlaceOptions& o) {
  PlaceVerbArguments verb{PlaceVerb::kExplain, "explain", "Say why an expert has its replicas where it has them", "", {}};
  add(verb.arguments,
      {required(text("plan", o.layout, kLayoutHelp, "PLAN")), required(count("--layer", o.layer, 0, kMost32, "layer, from 0")),
       required(count("--expert", o.expert, 0, kMost32, "logical expert, from 0")),
       text("--counts", o.counts, "counts that it was made for (default: the file that the plan names, if it is unchanged)", "COUNTS")});
  add(verb.arguments, cluster_arguments(o.cluster));
  add(verb.arguments, routing_arguments(o));
  add(verb.arguments, {json(o)});
  verb.examples = "Examples:\n  flexpert place explain plan.json --layer 12 --expert 77\n"
                  "  flexpert place explain location.json --devices 32 --counts loads.json --layer 0 --expert 5 --json";
  return verb;
}

}  // namespace

const char* name_of(PlaceVerb verb) {
  switch (verb) {
    case PlaceVerb::kPlan: return "plan";
    case PlaceVerb::kDiff: return "diff";
    case PlaceVerb::kSize: return "size";
    case PlaceVerb::kEvaluate: return "evaluate";
    case PlaceVerb::kReplay: return "replay";
    case PlaceVerb::kConvert: return "convert";
    case PlaceVerb::kRecord: return "record";
    case PlaceVerb::kExplain: return "explain";
  }
  return "?";
}

std::vector<PlaceVerbArguments> place_arguments(PlaceOptions& options) {
  return {plan(options),   diff(options),    size(options),   evaluate(options),
          replay(options), convert(options), record(options), explain(options)};
}

}  // namespace flexpert::app
