// Replicas move for balance while chats stream: as planned, and nobody notices.
#include <map>
#include <set>
#include <tuple>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "integration/test_fleet.h"
#include "workload/prompt_set.h"

namespace flexpert::integration {
namespace {

namespace json = boost::json;

std::vector<std::string> prompts_of(const std::string& topic) {
  const std::string path = FLEXPERT_SOURCE_DIR "/models/flexpert-tiny-moe/prompts/" + topic + ".json";
  auto set = workload::parse_prompt_set(read_file(path), path);
  EXPECT_TRUE(set);
  if (!set) return {};
  set->prompts.resize(4);
  return set->prompts;
}

/// What each server holds: (layer, expert, server).
std::set<std::tuple<std::uint64_t, std::uint64_t, std::string>> held(const json::value& view) {
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::string>> out;
  const json::value& table = view.at("routing");
  const auto experts = table.at("experts").to_number<std::uint64_t>();
  const json::array& replicas = table.at("replicas").as_array();
  for (std::size_t slot = 0; slot < replicas.size(); ++slot)
    for (const json::value& e : replicas[slot].as_array())
      out.emplace(slot / experts, slot % experts, std::string(table.at("endpoints").at(e.to_number<std::size_t>()).at("id").as_string()));
  return out;
}

/// Streams the prompts and returns their texts; fails the test where one is not whole.
std::map<std::string, std::string> chat(TestFleet& fleet, const std::vector<std::string>& prompts, const std::function<void()>& meanwhile) {
  std::vector<std::unique_ptr<StreamedChat>> chats;
  for (const std::string& prompt : prompts)
    chats.push_back(std::make_unique<StreamedChat>(fleet.loop(), fleet.gateway(), chat_body(prompt, 48, true, true)));
  EXPECT_TRUE(chats.back()->wait_for_pieces(24, Seconds(60)));
  EXPECT_FALSE(chats.back()->ended());
  meanwhile();
  std::map<std::string, std::string> texts;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_TRUE(chats[i]->wait_for_end(Seconds(60)));
    EXPECT_EQ(chats[i]->problem(), "");
    texts[prompts[i]] = chats[i]->text();
  }
  return texts;
}

TEST(Placement, RebalancesUnderLoadMoveWhatTheySayAndChangeNoAnswer) {
  TestFleet fleet({.max_servers = 2,
                   .pace_rows_per_s = 20000,
                   .placement = "{rebalance_interval_s: 0, drift: 0, smoothing: 1}",
                   .more_arguments = {}});
  ASSERT_TRUE(fleet.ready());
  std::map<std::string, std::map<std::string, std::string>> steady;
  for (const char* topic : {"code", "math"}) steady[topic] = chat(fleet, prompts_of(topic), [] {});
  int moved = 0;
  std::uint64_t moves = 0;
  for (int round = 0; round < 12 && moved < 3; ++round) {
    const char* topic = round % 2 == 0 ? "code" : "math";
    const auto texts = chat(fleet, prompts_of(topic), [&] {
      run_until(fleet.loop(), Seconds(20), [&] { return fleet.get(fleet.controller(), "/ready").status == 200; });
      const auto before = held(json::parse(fleet.get(fleet.controller(), "/api/v1/placement").body));
      const json::value report = json::parse(fleet.ask(fleet.controller(), "POST", "/api/v1/placement/rebalance").body);
      ASSERT_TRUE(report.as_object().contains("outcome")) << json::serialize(report);
      auto expected = before;
      for (const json::value& move : report.at("moves").as_array()) {
        const auto layer = move.at("layer").to_number<std::uint64_t>();
        const auto expert = move.at("expert").to_number<std::uint64_t>();
        EXPECT_EQ(expected.erase({layer, expert, std::string(move.at("from").as_string())}), 1U);
        EXPECT_TRUE(expected.emplace(layer, expert, std::string(move.at("to").as_string())).second);
        ++moves;
      }
      EXPECT_EQ(held(json::parse(fleet.get(fleet.controller(), "/api/v1/placement").body)), expected);
      moved += report.at("outcome") == "moved";
    });
    EXPECT_EQ(texts, steady[topic]);
  }
  EXPECT_EQ(moved, 3);
  json::value view;
  for (int round = 0; round < 12 && (view.is_null() || view.at("measured").is_null()); ++round) {
    chat(fleet, prompts_of("code"), [] {});
    view = json::parse(fleet.get(fleet.controller(), "/api/v1/placement").body);
  }
  ASSERT_FALSE(view.at("measured").is_null()) << "expert servers say what they computed";
  EXPECT_GT(view.at("measured").at("balancedness").to_number<double>(), 0.3);
  EXPECT_GT(view.at("measured_rows").to_number<double>(), view.at("measured_tokens").to_number<double>());
  const std::string metrics = fleet.get(fleet.controller(), "/metrics").body;
  EXPECT_NE(metrics.find(fmt::format("flexpert_placement_moved_slots_total{{cause=\"balance\"}} {}\n", moves)), std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("flexpert_placement_rebalances_total{outcome=\"moved\"} 3\n"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::integration
