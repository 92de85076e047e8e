#include "engine/expert/tests/expert_fixture.h"

namespace flexpert::engine {
namespace {

using testing::full_table;
using testing::Layer;
using testing::make_pack;
using testing::metric;
using testing::ServerThread;
using testing::TemporaryFolder;

/// Far below the ten seconds after which a connection is given up.
constexpr Duration kSoon = Seconds(4);

class HungServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<ServerThread> server(int index, double pace = 0) {
    ExpertServerOptions options;
    options.listen = *net::Address::parse("unix:" + folder_.file("e" + std::to_string(index)));
    options.instance = InstanceId{"expert-" + std::to_string(index)};
    options.pace_rows_per_s = pace;
    return std::make_unique<ServerThread>(pack_, options);
  }
  std::unique_ptr<RemoteExperts> connected(const std::vector<std::string>& addresses, Duration batch_timeout = Seconds(10)) {
    auto experts = std::make_unique<RemoteExperts>(
        pack_, pool_, RemoteExpertsOptions{.model_fingerprint = pack_->model_fingerprint(), .batch_timeout = batch_timeout}, metrics_, clock_);
    EXPECT_TRUE(experts->set_routing_table(full_table(pack_->geometry(), addresses)));
    EXPECT_TRUE(experts->wait_connected(Seconds(5)));
    return experts;
  }
  std::vector<float> expected(Layer& layer) {
    LocalExperts local(pack_, pool_);
    return layer.run(local);
  }
  double counted(const std::string& name) { return metric(metrics_, "flexpert_remote_experts_" + name); }
  /// Runs `layer` until `condition` holds, at most 10 s.
  template <class Condition>
  bool run_until(RemoteExperts& experts, Layer& layer, const std::vector<float>& wanted, Condition condition) {
    for (const TimePoint end = clock_.now() + Seconds(10); !condition() && clock_.now() < end;) EXPECT_EQ(layer.run(experts), wanted);
    return condition();
  }

  TemporaryFolder folder_;
  std::shared_ptr<const PackFile> pack_ = make_pack(folder_.file("p"));
  ComputePool pool_{2};
  SystemClock clock_;
  telemetry::Registry metrics_;
};

TEST_F(HungServerTest, ItsWorkIsDoneElsewhereAndItIsUsedAgainWhenItAnswers) {
  const auto hung = server(0);
  const auto good = server(1);
  const auto experts = connected({hung->address(), good->address()});
  Layer layer(*pack_, 1, 40, 5);
  const auto wanted = expected(layer);
  ASSERT_TRUE(run_until(*experts, layer, wanted, [&] { return hung->stats().rows > 0 && good->stats().rows > 0; }));
  const std::uint64_t before = hung->stats().rows;

  hung->hang();
  const TimePoint start = clock_.now();
  ASSERT_TRUE(run_until(*experts, layer, wanted, [&] { return counted("hedged_total") == 1; }));
  EXPECT_LT(clock_.now() - start, kSoon);
  EXPECT_EQ(counted("suspect_endpoints"), 1);
  const double on_good = counted("rows_total");
  for (int step = 0; step < 20; ++step) EXPECT_EQ(layer.run(*experts), wanted);
  EXPECT_LT(clock_.now() - start, kSoon) << "later steps do not wait for it";
  EXPECT_EQ(counted("rows_total") - on_good, 20.0 * static_cast<double>(layer.assignments()));
  EXPECT_EQ(counted("hedged_total"), 1);
  EXPECT_EQ(counted("fallback_rows_total"), 0) << "there was another replica";

  hung->resume();
  ASSERT_TRUE(run_until(*experts, layer, wanted, [&] { return counted("suspect_endpoints") == 0; }));
  const std::uint64_t late = hung->stats().rows;
  EXPECT_GT(late, before) << "it did compute what it was asked for, late";
  EXPECT_TRUE(run_until(*experts, layer, wanted, [&] { return hung->stats().rows > late; })) << "it is used again";
  EXPECT_EQ(counted("failures_total"), 0) << "on the same connection";
}

TEST_F(HungServerTest, WithoutAnotherReplicaThisProcessComputes) {
  const auto hung = server(0);
  const auto experts = connected({hung->address()});
  Layer first(*pack_, 0, 9, 5);
  Layer second(*pack_, 1, 30, 6);
  const auto wanted = expected(first);
  const auto wanted_second = expected(second);
  EXPECT_EQ(first.run(*experts), wanted);
  hung->hang();
  const TimePoint start = clock_.now();
  EXPECT_EQ(first.run(*experts), wanted);
  EXPECT_EQ(second.run(*experts), wanted_second);
  EXPECT_LT(clock_.now() - start, kSoon);
  EXPECT_EQ(counted("hedged_total"), 1);
  EXPECT_EQ(counted("fallback_rows_total"), static_cast<double>(first.assignments() + second.assignments()));
  EXPECT_EQ(counted("stall_seconds_count"), 1);
  // The late answer comes while another layer, of another size, is under way.
  hung->resume();
  EXPECT_TRUE(run_until(*experts, second, wanted_second, [&] { return counted("suspect_endpoints") == 0; }));
  EXPECT_EQ(second.run(*experts), wanted_second);
}

TEST_F(HungServerTest, ItsConnectionIsGivenUpInTheEnd) {
  const auto hung = server(0);
  const auto experts = connected({hung->address()}, Milliseconds(600));
  Layer layer(*pack_, 0, 9, 5);
  const auto wanted = expected(layer);
  EXPECT_EQ(layer.run(*experts), wanted);
  hung->hang();
  ASSERT_TRUE(run_until(*experts, layer, wanted, [&] { return counted("failures_total") == 1; }));
  EXPECT_EQ(counted("hedged_total"), 1);
  EXPECT_EQ(counted("suspect_endpoints"), 0);
  EXPECT_EQ(counted("live_endpoints"), 0);
  hung->resume();
  EXPECT_TRUE(run_until(*experts, layer, wanted, [&] { return counted("reconnects_total") == 1; }));
}

TEST_F(HungServerTest, ATableWithoutASuspectForgetsIt) {
  const auto hung = server(0);
  const auto experts = connected({hung->address()});
  Layer layer(*pack_, 0, 9, 5);
  const auto wanted = expected(layer);
  hung->hang();  // before the first batch: more patience, but not ten seconds of it
  const TimePoint start = clock_.now();
  EXPECT_EQ(layer.run(*experts), wanted);
  EXPECT_LT(clock_.now() - start, kSoon);
  EXPECT_EQ(counted("suspect_endpoints"), 1);
  ASSERT_TRUE(experts->set_routing_table(full_table(pack_->geometry(), {}, 2)));
  EXPECT_EQ(counted("suspect_endpoints"), 0);
  EXPECT_EQ(layer.run(*experts), wanted);
  hung->resume();
}

TEST_F(HungServerTest, APacedServerIsSlowButNotHung) {
  const auto paced = server(0, 300);
  const auto experts = connected({paced->address()});
  Layer layer(*pack_, 0, 60, 5);  // 180 rows: 0.6 s, thrice the least patience
  const auto wanted = expected(layer);
  const TimePoint start = clock_.now();
  EXPECT_EQ(layer.run(*experts), wanted);
  EXPECT_EQ(layer.run(*experts), wanted);
  EXPECT_GE(clock_.now() - start, from_seconds(2 * static_cast<double>(layer.assignments()) / 300));
  EXPECT_EQ(counted("hedged_total"), 0);
  EXPECT_EQ(counted("fallback_rows_total"), 0);
  EXPECT_EQ(paced->stats().rows, 2 * layer.assignments());
}

TEST_F(HungServerTest, APacedServerThatOthersKeepBusyIsWaitedFor) {
  const auto paced = server(0, 500);
  auto experts = connected({paced->address()});
  Layer small(*pack_, 0, 2, 5);
  const auto wanted = expected(small);
  EXPECT_EQ(small.run(*experts), wanted);
  telemetry::Registry other_metrics;
  ComputePool other_pool{1};
  RemoteExperts other(pack_, other_pool, {.model_fingerprint = pack_->model_fingerprint()}, other_metrics, clock_);
  ASSERT_TRUE(other.set_routing_table(full_table(pack_->geometry(), {paced->address()})));
  ASSERT_TRUE(other.wait_connected(Seconds(5)));
  Layer large(*pack_, 1, 150, 6);  // 450 rows: 0.9 s
  const auto large_wanted = expected(large);
  const std::uint64_t before = paced->stats().batches;
  auto large_got = std::async(std::launch::async, [&] { return large.run(other); });
  for (const TimePoint end = clock_.now() + Seconds(10); paced->stats().batches == before && clock_.now() < end;) std::this_thread::yield();
  const TimePoint start = clock_.now();
  EXPECT_EQ(small.run(*experts), wanted);
  EXPECT_GT(clock_.now() - start, Milliseconds(400)) << "behind the other's rows";
  EXPECT_EQ(large_got.get(), large_wanted);
  EXPECT_EQ(counted("hedged_total"), 0);
  EXPECT_EQ(counted("fallback_rows_total"), 0);
  EXPECT_EQ(metric(other_metrics, "flexpert_remote_experts_hedged_total"), 0);
}

}  // namespace
}  // namespace flexpert::engine
