// The only file that knows CLI11: it costs more to compile than all the others together.
#include "flexpert/command_line.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <functional>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "flexpert/described_command.h"
#include "flexpert/place_arguments.h"

namespace flexpert::app {

namespace {

// CLI11's typed add_option() is a template that costs half a giga-instruction for each type; its untyped form does not. So
// the conversions are here.

CLI::Option* add_text(CLI::App* app, const std::string& name, std::string& target, const std::string& help) {
  return app->add_option(name, [&target](const CLI::results_t& given) { target = given.front(); return true; }, help)
      ->type_name("TEXT")->default_str(target);
}

CLI::Option* add_texts(CLI::App* app, const std::string& name, std::vector<std::string>& target, const std::string& help) {
  return app->add_option(name, [&target](const CLI::results_t& given) { target = given; return true; }, help)
      ->type_name("TEXT ...")->expected(1, 1000);
}

void add_flag(CLI::App* app, const std::string& name, bool& target, const std::string& help) {
  app->add_flag_callback(name, [&target] { target = true; }, help);
}

std::string shortest(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

/// Adds an option that stands for a number in [least, most]; `store` receives it.
CLI::Option* add_number(CLI::App* app, const std::string& name, double least, double most, bool whole, const std::function<void(double)>& store,
                        const std::string& help) {
  const auto convert = [=](const CLI::results_t& given) {
    const std::string& text = given.front();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= least && value <= most) || (whole && value != std::floor(value)))
      throw CLI::ValidationError(name, std::string("needs a ") + (whole ? "whole number" : "number") + " from " + shortest(least) + " to " + shortest(most) + ", not \"" + text + "\"");
    store(value);
    return true;
  };
  return app->add_option(name, convert, help)->type_name(whole ? "N" : "NUMBER");
}

void add_count(CLI::App* app, const std::string& name, std::uint32_t& target, std::uint32_t least, std::uint32_t most, const std::string& help) {
  add_number(app, name, least, most, true, [&target](double value) { target = static_cast<std::uint32_t>(value); }, help)
      ->default_str(std::to_string(target));
}

void add_real(CLI::App* app, const std::string& name, double& target, double least, double most, const std::string& help) {
  add_number(app, name, least, most, false, [&target](double value) { target = value; }, help)->default_str(shortest(target));
}

void add_seed(CLI::App* app, std::uint64_t& target, const std::string& help) {
  add_number(app, "--seed", 0, 9007199254740992.0, true, [&target](double value) { target = static_cast<std::uint64_t>(value); }, help)
      ->default_str(std::to_string(target));
}

void add_log_level(CLI::App* app, std::string& level) {
  const auto convert = [&level](const CLI::results_t& given) {
    for (const char* known : {"debug", "info", "warn", "error", "off"})
      if (given.front() == known) return level = known, true;
    throw CLI::ValidationError("--log-level", "needs debug, info, warn, error or off, not \"" + given.front() + "\"");
  };
  app->add_option("--log-level", convert, "debug, info, warn, error or off")->type_name("LEVEL")->default_str(level);
}

void add_serve(CLI::App& root, ServeOptions& o) {
  CLI::App* app = root.add_subcommand("serve", "Serve a model over the OpenAI API");
  add_text(app, "--model", o.model, "checkpoint folder (config.json, *.safetensors, tokenizer.json)")->required();
  add_text(app, "--pack", o.pack, "pack file of its experts, see `flexpert pack`; made in the cache folder if not given");
  add_text(app, "--listen", o.listen, "HOST:PORT or unix:PATH; port 0 picks a free one");
  add_text(app, "--name", o.name, "the model's name in the API (default: the folder's name)");
  add_count(app, "--threads", o.threads, 1, 256, "compute threads");
  add_count(app, "--kv-blocks", o.kv_blocks, 1, 1 << 24, "KV cache, in blocks of 16 tokens");
  add_count(app, "--max-kv-blocks", o.max_kv_blocks, 0, 1 << 24, "to which PUT /internal/resources may raise it (0: as --kv-blocks)");
  add_count(app, "--max-batch", o.max_batch, 1, 4096, "sequences that run together");
  add_text(app, "--pace", o.pace, "JSON file {\"base_ms\", \"per_token_us\", \"per_kv_token_us\"}: steps take as long as an accelerator's of that speed");
  add_text(app, "--expert-servers", o.expert_servers, "ADDRESS,ADDRESS,...: running `flexpert expert`s over which this server places its experts itself, without a controller");
  add_flag(app, "--enable-eplb", o.enable_eplb, "place them anew as the load changes; needs --expert-servers");
  add_text(app, "--eplb-algorithm", o.eplb_algorithm, "auto or incremental (few moves), exact (DeepSeek's EPLB), quality (from scratch)");
  add_count(app, "--eplb-rebalance-num-iterations", o.eplb_iterations, 1, 1u << 30, "steps between two plans; with auto a drift of the load comes early");
  add_real(app, "--eplb-min-rebalancing-utilization-threshold", o.eplb_threshold, 0.0, 1.0, "balancedness from which on nothing is moved");
  add_text(app, "--init-expert-location", o.init_expert_location, "trivial, JSON ({\"physical_to_logical_map\"} or {\"logical_count\"}), or such a .json or .pt file");
  add_count(app, "--ep-num-redundant-experts", o.redundant_experts, 0, 1u << 20, "slots of a layer beyond one for each expert");
  add_text(app, "--ep-dispatch-algorithm", o.dispatch, "among an expert's replicas: static, random, round_robin, least_loaded, least_activated_experts or locality_first");
  add_text(app, "--expert-distribution-recorder-mode", o.recorder_mode, "what POST /start_expert_distribution_record records: stat, stat_approx, per_pass or per_token");
  add_count(app, "--expert-distribution-recorder-buffer-size", o.recorder_buffer, 0, 1u << 30, "newest steps that are kept (0: all)");
  add_text(app, "--expert-distribution-dump-dir", o.recorder_folder, "folder where dumps of the recorder are written, too");
  add_text(app, "--internal-secret-file", o.internal_secret_file, "secret shared with the gateways: only requests that one of them signed are served, each with its caller's rights");
  add_log_level(app, o.log_level);
  app->footer("Examples:\n  flexpert serve --model models/flexpert-tiny-moe\n"
              "  flexpert serve --model DIR --pack DIR/experts.pack --listen 127.0.0.1:8000 --threads 2\n"
              "  flexpert serve --model DIR --expert-servers 127.0.0.1:7001,127.0.0.1:7002 --enable-eplb --ep-num-redundant-experts 4");
}

void add_expert(CLI::App& root, ExpertOptions& o) {
  CLI::App* app = root.add_subcommand("expert", "Serve experts of a model to model servers");
  add_text(app, "--pack", o.pack, "pack file, see `flexpert pack`")->required();
  add_text(app, "--listen", o.listen, "unix:PATH or HOST:PORT; port 0 picks a free one")->required();
  add_text(app, "--metrics", o.metrics, "HOST:PORT or unix:PATH where Prometheus metrics (/metrics) and /health are served over HTTP");
  add_count(app, "--threads", o.threads, 1, 256, "compute threads");
  add_real(app, "--pace", o.pace_rows_per_s, 0.0, 1e12, "answer as an accelerator of this many rows per second would (0: raw speed)");
  add_text(app, "--id", o.id, "its name in logs and metrics");
  add_log_level(app, o.log_level);
  app->footer("Examples:\n  flexpert expert --pack experts.pack --listen unix:/tmp/expert-0.sock\n"
              "  flexpert expert --pack experts.pack --listen 127.0.0.1:7001 --metrics 127.0.0.1:7002 --pace 4000 --id expert-1");
}

void add_pack(CLI::App& root, PackOptions& o) {
  CLI::App* app = root.add_subcommand("pack", "Lay out a model's experts in one file for expert servers");
  add_text(app, "--model", o.model, "checkpoint folder; without it, --verify checks an existing file");
  add_text(app, "-o,--out", o.output, "pack file")->required();
  add_flag(app, "--verify", o.verify, "read every expert again and compare its hash");
  app->footer("Examples:\n  flexpert pack --model models/flexpert-tiny-moe -o experts.pack --verify\n  flexpert pack --verify -o experts.pack");
}

void add_gateway(CLI::App& root, GatewayOptions& o) {
  CLI::App* app = root.add_subcommand("gateway", "Run the gateway alone, in front of the upstreams of a configuration");
  add_text(app, "-c,--config", o.config, "YAML file")->required();
  add_count(app, "--listen-fd", o.listen_fd, 3, 1 << 16, "accept clients from this listening socket, which several gateways share, instead of gateway.listen");
  add_text(app, "--also-listen", o.also_listen, "HOST:PORT or unix:PATH besides");
  add_text(app, "--internal-secret-file", o.internal_secret_file, "secret shared with our model servers, instead of access.internal_secret_file");
  add_text(app, "--metrics-listen", o.metrics_listen, "HOST:PORT or unix:PATH of /health, /ready and /metrics, instead of gateway.metrics_listen");
  add_text(app, "--controller", o.controller, "controller to follow, instead of gateway.controller");
  add_real(app, "--drain-deadline", o.drain_deadline_s, 0.0, 86400.0, "seconds for requests to end after SIGTERM (0: shutdown_deadline_s)");
  add_log_level(app, o.log_level);
  app->footer("Example:\n  flexpert gateway -c examples/existing-engine.yaml");
}

void add_controller(CLI::App& root, ControllerOptions& o) {
  CLI::App* app = root.add_subcommand("controller", "Run the controller and the processes it starts, without a gateway");
  add_text(app, "-c,--config", o.config, "YAML file with a `model:` or `pools:` section")->required();
  add_flag(app, "--dry-run", o.dry_run, "compute and record decisions, do not act on them");
  add_flag(app, "--no-wait", o.no_wait, "fail if another controller leads this fleet, instead of waiting for its end");
  add_log_level(app, o.log_level);
  app->footer("Example:\n  flexpert controller -c examples/first-fleet.yaml --dry-run");
}

void add_up(CLI::App& root, UpOptions& o) {
  CLI::App* app = root.add_subcommand("up", "Run a whole fleet: gateway, controller, model servers, expert servers");
  add_text(app, "-c,--config", o.config, "YAML file")->required();
  add_flag(app, "--dry-run", o.dry_run, "compute and record scaling decisions, do not act on them");
  add_log_level(app, o.log_level);
  app->footer("Example:\n  flexpert up -c examples/first-fleet.yaml\nStop it with Ctrl-C or SIGTERM: requests in flight are finished first.");
}

void add_status(CLI::App& root, StatusOptions& o) {
  CLI::App* app = root.add_subcommand("status", "Show a running fleet");
  add_text(app, "--address", o.address, "HOST:PORT of the controller (default: that of the fleet that runs on this machine)");
  add_text(app, "-c,--config", o.config, "YAML file of the fleet, for the address");
  add_flag(app, "--json", o.json, "print the controller's answer as it is");
  app->footer("Examples:\n  flexpert status\n  flexpert status --address 127.0.0.1:9001 --json");
}

void add_load(CLI::App& root, LoadOptions& o) {
  CLI::App* app = root.add_subcommand("load", "Send open-loop traffic to an OpenAI-compatible server and measure it");
  add_text(app, "--url", o.url, "http://HOST:PORT");
  add_text(app, "--model", o.model, "model name (default: the first that the server lists)");
  add_text(app, "--phases", o.phases, "JSON file of phases; without it, one phase of --rate and --duration");
  add_texts(app, "--prompts", o.prompts, "prompt set files (models/*/prompts/*.json)")->required();
  add_real(app, "--rate", o.rate, 0.0, 1e6, "requests per second, Poisson");
  add_real(app, "--duration", o.duration_s, 0.001, 1e6, "seconds");
  add_count(app, "--max-tokens", o.max_tokens, 1, 1000000, "tokens of an answer at most");
  add_real(app, "--temperature", o.temperature, 0.0, 2.0, "sampling temperature");
  add_seed(app, o.seed, "of arrivals, prompts and sampling");
  add_count(app, "--concurrency", o.concurrency, 1, 100000, "requests in flight at most; more are counted as not sent");
  add_real(app, "--timeout", o.timeout_s, 0.001, 1e6, "seconds for one request");
  add_text(app, "--json", o.json, "write the figures to this file (-: stdout)");
  app->footer("Examples:\n  flexpert load --url http://127.0.0.1:9000 --prompts models/flexpert-tiny-moe/prompts/math.json --rate 5 --duration 20\n"
              "  flexpert load --phases phases.json --prompts models/flexpert-tiny-moe/prompts/*.json --json figures.json\n"
              "Exit code 0 only if no request failed and all could be sent.");
}

void add_demo(CLI::App& root, DemoOptions& o) {
  CLI::App* app = root.add_subcommand("demo", "The quick start's story: a fleet under changing traffic, shown live");
  add_text(app, "-c,--config", o.config, "YAML file")->required();
  add_text(app, "--json", o.json, "write the figures to this file");
  add_flag(app, "--keep", o.keep, "leave the fleet running at the end, until Ctrl-C");
  add_flag(app, "--fast", o.fast, "shorter phases (about a minute)");
  add_seed(app, o.seed, "of the traffic");
  app->footer("Example:\n  flexpert demo -c examples/first-fleet.yaml --json figures.json");
}

void add_check(CLI::App& root, CheckOptions& o) {
  CLI::App* app = root.add_subcommand("check", "Check a configuration file and say what it means");
  add_text(app, "-c,--config", o.config, "YAML file")->required();
  app->footer("Example:\n  flexpert check -c examples/first-fleet.yaml");
}

void add_argument(CLI::App* app, const Argument& argument) {
  if (argument.type.empty()) {
    app->add_flag_callback(argument.name, [take = argument.take] { take(""); }, argument.help);
    return;
  }
  const auto convert = [argument](const CLI::results_t& given) {
    for (const std::string& value : given)
      if (const std::string wrong = argument.take(value); !wrong.empty()) throw CLI::ValidationError(argument.name, wrong);
    return true;
  };
  CLI::Option* option = app->add_option(argument.name, convert, argument.help)->type_name(argument.type)->default_str(argument.default_text);
  if (argument.required) option->required();
  if (argument.repeated) option->take_all();
  if (argument.repeated && argument.name.front() != '-') option->expected(1, 1000)->allow_extra_args();
}

void add_described(CLI::App& root, const std::vector<DescribedCommand>& commands, std::function<int()>& run) {
  for (const DescribedCommand& command : commands) {
    CLI::App* app = root.add_subcommand(command.name, command.help)->footer(command.examples);
    app->final_callback([&run, chosen = command.run] { run = chosen; });
    for (const Argument& argument : command.arguments) add_argument(app, argument);
    for (const DescribedVerb& verb : command.verbs) {
      CLI::App* sub = app->add_subcommand(verb.name, verb.help)->footer(verb.examples);
      sub->final_callback(verb.chosen);
      for (const Argument& argument : verb.arguments) add_argument(sub, argument);
    }
  }
}

void add_place(CLI::App& root, PlaceOptions& o) {
  CLI::App* app = root.add_subcommand("place", "Plan where a model's experts go: plan, diff, size, evaluate, replay, convert, record, explain");
  app->require_subcommand(1);
  for (const PlaceVerbArguments& verb : place_arguments(o)) {
    CLI::App* sub = app->add_subcommand(verb.name, verb.help)->footer(verb.examples);
    sub->final_callback([&o, which = verb.verb] { o.verb = which; });
    for (const Argument& argument : verb.arguments) add_argument(sub, argument);
  }
  app->footer("`flexpert place VERB --help` explains a verb, with examples. See docs/placement.md.\n"
              "Example:\n  flexpert place plan loads.json --devices 32 --nodes 4 --html report.html");
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app("Flexpert: elastic serving of Mixture-of-Experts models.", "flexpert");
  app.require_subcommand(1);
  app.set_version_flag("--version", FLEXPERT_VERSION);
  app.footer("`flexpert COMMAND --help` explains a command. Exit codes: 0 done, 1 failed, 2 wrong use.");
  add_up(app, line.up);
  add_status(app, line.status);
  add_check(app, line.check);
  add_demo(app, line.demo);
  add_load(app, line.load);
  add_serve(app, line.serve);
  add_expert(app, line.expert);
  add_pack(app, line.pack);
  add_gateway(app, line.gateway);
  add_controller(app, line.controller);
  add_place(app, line.place);
  add_described(app, described_commands(), line.run);
  app.add_subcommand("version", "Print the version")->footer("Example:\n  flexpert version");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {std::nullopt, app.exit(error)};  // --help, --version
    const std::string first = argc > 1 ? argv[1] : "";
    std::string names;
    bool known = first.empty() || first.front() == '-';
    for (const CLI::App* one : app.get_subcommands({})) {
      known = known || one->get_name() == first;
      names += (names.empty() ? "" : ", ") + one->get_name();
    }
    for (const CLI::App* chosen : app.get_subcommands()) {
      if (chosen->get_require_subcommand_min() > 0 && chosen->get_subcommands().empty() && argc > 2 && argv[2][0] != '-') {
        std::fprintf(stderr, "flexpert: %s has no verb \"%s\" (see flexpert %s --help)\n", chosen->get_name().c_str(), argv[2], chosen->get_name().c_str());
        return {std::nullopt, 2};
      }
    }
    if (!known) {
      std::fprintf(stderr, "flexpert: there is no command \"%s\"; there are %s\n", first.c_str(), names.c_str());
      return {std::nullopt, 2};
    }
    std::string command;
    for (const CLI::App* chosen : app.get_subcommands()) {
      command += chosen->get_name() + " ";
      for (const CLI::App* verb : chosen->get_subcommands()) command += verb->get_name() + " ";
    }
    std::fprintf(stderr, "flexpert: %s (see flexpert %s--help)\n", error.what(), command.c_str());
    return {std::nullopt, 2};
  }
  struct Name {
    const char* text;
    Command command;
  };
  static constexpr Name kNames[] = {
      {"serve", Command::kServe},           {"expert", Command::kExpert},   {"pack", Command::kPack}, {"gateway", Command::kGateway},
      {"controller", Command::kController}, {"up", Command::kUp},           {"load", Command::kLoad}, {"status", Command::kStatus},
      {"demo", Command::kDemo},             {"check", Command::kCheck},     {"place", Command::kPlace},
      {"version", Command::kVersion}};
  for (const Name& name : kNames)
    if (app.get_subcommands().front()->get_name() == name.text) line.command = name.command;
  if (line.run) line.command = Command::kDescribed;
  return {std::move(line), 0};
}

}  // namespace flexpert::app
