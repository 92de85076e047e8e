#include "engine/expert/remote_experts.h"

#include "engine/expert/tests/expert_fixture.h"

namespace flexpert::engine {
namespace {

using placement::DispatchPolicy;
using testing::full_table;
using testing::Layer;
using testing::make_pack;
using testing::metric;
using testing::ServerThread;
using testing::TemporaryFolder;

constexpr DispatchPolicy kPolicies[] = {DispatchPolicy::kStatic,      DispatchPolicy::kRandom,
                                        DispatchPolicy::kRoundRobin,  DispatchPolicy::kLeastLoaded,
                                        DispatchPolicy::kLeastActivatedExperts, DispatchPolicy::kLocalityFirst};

class DispatchPolicyTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<ServerThread> start(int index, const std::string& listen = {}) const {
    ExpertServerOptions options;
    options.listen = *net::Address::parse(listen.empty() ? "unix:" + folder_.file("e" + std::to_string(index)) : listen);
    options.instance = InstanceId{"expert-" + std::to_string(index)};
    return std::make_unique<ServerThread>(pack_, std::move(options));
  }
  RemoteExperts remote(DispatchPolicy policy, std::uint64_t seed = 0) {
    RemoteExpertsOptions options{.model_fingerprint = pack_->model_fingerprint(), .expert_dispatch = policy, .dispatch_seed = seed};
    return RemoteExperts(pack_, pool_, std::move(options), metrics_, clock_);
  }
  std::vector<float> expected(Layer& layer) {
    LocalExperts local(pack_, pool_);
    return layer.run(local);
  }

  TemporaryFolder folder_;
  std::shared_ptr<const PackFile> pack_ = make_pack(folder_.file("p"));
  ComputePool pool_{2};
  SystemClock clock_;
  telemetry::Registry metrics_;
};

TEST_F(DispatchPolicyTest, OutputsAreTheSameBytesUnderEveryPolicy) {
  const auto first = start(0);
  const auto second = start(1);
  const auto third = start(2, "127.0.0.1:0");
  for (const DispatchPolicy policy : kPolicies) {
    auto experts = remote(policy, 1);
    ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {first->address(), second->address(), third->address()})));
    ASSERT_TRUE(experts.wait_connected(Seconds(5)));
    for (const std::uint32_t rows : {1U, 3U, 16U, 130U}) {
      Layer layer(*pack_, rows % 2, rows, rows);
      const auto wanted = expected(layer);
      for (int repeat = 0; repeat < 3; ++repeat) EXPECT_EQ(layer.run(experts), wanted) << placement::name_of(policy) << " " << rows;
    }
  }
  EXPECT_EQ(metric(metrics_, "flexpert_remote_experts_fallback_rows_total"), 0);
  EXPECT_EQ(metric(metrics_, "flexpert_remote_experts_failures_total"), 0);
}

TEST_F(DispatchPolicyTest, RoundRobinUsesAllServersForASingleRow) {
  const auto first = start(0);
  const auto second = start(1);
  auto experts = remote(DispatchPolicy::kRoundRobin);
  ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {first->address(), second->address()})));
  ASSERT_TRUE(experts.wait_connected(Seconds(5)));
  Layer layer(*pack_, 0, 1, 5, 1);
  for (int step = 0; step < 10; ++step) layer.run(experts);
  EXPECT_EQ(first->stats().rows, 5U);
  EXPECT_EQ(second->stats().rows, 5U);
}

TEST_F(DispatchPolicyTest, StaticStaysAndItsSeedTellsModelServersApart) {
  const auto first = start(0);
  const auto second = start(1);
  Layer layer(*pack_, 0, 1, 5, 1);
  for (const std::uint64_t seed : {0U, 1U}) {
    auto experts = remote(DispatchPolicy::kStatic, seed);
    ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {first->address(), second->address()})));
    ASSERT_TRUE(experts.wait_connected(Seconds(5)));
    const std::uint64_t before = first->stats().rows;
    for (int step = 0; step < 10; ++step) layer.run(experts);
    const std::uint64_t got = first->stats().rows - before;
    EXPECT_TRUE(got == 0 || got == 10) << got;
  }
  EXPECT_EQ(first->stats().rows, 10U);
  EXPECT_EQ(second->stats().rows, 10U);
}

TEST_F(DispatchPolicyTest, ALostReplicaIsMadeUpForUnderEveryPolicy) {
  for (const DispatchPolicy policy : kPolicies) {
    auto first = start(0);
    const auto second = start(1);
    auto experts = remote(policy);
    ASSERT_TRUE(experts.set_routing_table(full_table(pack_->geometry(), {first->address(), second->address()})));
    ASSERT_TRUE(experts.wait_connected(Seconds(5)));
    Layer layer(*pack_, 1, 24, 3);
    const auto wanted = expected(layer);
    EXPECT_EQ(layer.run(experts), wanted);
    first.reset();
    EXPECT_EQ(layer.run(experts), wanted) << placement::name_of(policy);
    EXPECT_EQ(layer.run(experts), wanted) << placement::name_of(policy);
  }
  EXPECT_EQ(metric(metrics_, "flexpert_remote_experts_fallback_rows_total"), 0);
}

}  // namespace
}  // namespace flexpert::engine
