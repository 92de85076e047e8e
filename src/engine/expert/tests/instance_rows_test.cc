#include "engine/expert/instance_rows.h"

#include <algorithm>

#include "engine/expert/tests/expert_fixture.h"
#include "engine/kernels/kernels.h"

namespace flexpert::engine {
namespace {

using testing::make_pack;
using testing::ServerThread;
using testing::small_shape;
using testing::TemporaryFolder;
using Output = Result<std::vector<float>>;

class InstanceRowsTest : public ::testing::Test {
 protected:
  [[nodiscard]] ExpertEndpoint endpoint(int index) const {
    return {InstanceId{"expert-" + std::to_string(index)}, "unix:" + folder_.file("e" + std::to_string(index))};
  }
  std::unique_ptr<ServerThread> server(int index, std::shared_ptr<const PackFile> pack = nullptr) {
    ExpertServerOptions options;
    options.listen = *net::Address::parse(endpoint(index).address);
    options.instance = endpoint(index).id;
    return std::make_unique<ServerThread>(pack ? pack : pack_, options);
  }
  std::vector<float> expected(ExpertSlot slot) {
    std::vector<float> wanted(row_.size());
    LocalExperts local(pack_, pool_);
    const std::uint32_t index = 0;
    const ExpertGroup group{slot.expert, std::span(&index, 1), wanted.data()};
    local.compute({.layer = slot.layer, .rows = row_, .row_count = 1, .hidden = pack_->hidden_size(), .groups = std::span(&group, 1)});
    return wanted;
  }
  template <class Condition>
  bool turn_until(Condition condition) {
    for (const TimePoint end = clock_.now() + Seconds(10); !condition() && clock_.now() < end;) loop_.run_once(Milliseconds(20));
    return condition();
  }
  void turn_for(Duration longest) {
    bool over = false;
    loop_.call_after(longest, [&] { over = true; });
    turn_until([&] { return over; });
  }
  InstanceRows::RowId ask(int index, ExpertSlot slot, std::optional<Output>& into) {
    return rows_->run(endpoint(index), slot, row_, [&into](Output output) {
      EXPECT_FALSE(into) << "told twice";
      into = std::move(output);
    });
  }

  TemporaryFolder folder_;
  std::shared_ptr<const PackFile> pack_ = make_pack(folder_.file("p"));
  std::vector<float> row_ = std::vector<float>(pack_->hidden_size(), 0.25F);
  ComputePool pool_{1};
  SystemClock clock_;
  net::EventLoop loop_;
  std::unique_ptr<InstanceRows> rows_ = InstanceRows::create(
      loop_, {pack_->model_fingerprint(), 0, kernel_identity(), pack_->hidden_size(), pack_->geometry()}, clock_);
};

TEST_F(InstanceRowsTest, TheNamedInstanceComputesAndNoOther) {
  const auto first = server(0);
  const auto second = server(1);
  std::array<std::optional<Output>, 40> outputs;
  for (std::uint32_t i = 0; i < outputs.size(); ++i) ask(1, {i % 2, i % 8}, outputs[i]);
  EXPECT_FALSE(outputs[0]) << "never from inside run()";
  ASSERT_TRUE(turn_until([&] { return std::ranges::all_of(outputs, [](const auto& one) { return one.has_value(); }); }));
  for (std::uint32_t i = 0; i < outputs.size(); ++i) {
    ASSERT_TRUE(*outputs[i]) << outputs[i]->error().message;
    EXPECT_EQ(outputs[i]->value(), expected({i % 2, i % 8}));
  }
  EXPECT_EQ(first->stats().rows, 0U);
  EXPECT_EQ(second->stats().rows, outputs.size());
  EXPECT_EQ(second->stats().connections, 1U);
}

TEST_F(InstanceRowsTest, AnInstanceThatIsNotThereOrNotItselfIsUnavailable) {
  std::optional<Output> absent;
  std::optional<Output> other;
  const auto wrong = server(1, make_pack(folder_.file("other"), small_shape(2)));
  ask(0, {0, 3}, absent);
  ask(1, {0, 3}, other);
  ASSERT_TRUE(turn_until([&] { return absent && other; }));
  EXPECT_EQ(absent->error().code, ErrorCode::kUnavailable);
  EXPECT_NE(absent->error().message.find("cannot be reached"), std::string::npos) << absent->error().message;
  EXPECT_EQ(other->error().code, ErrorCode::kUnavailable);
  EXPECT_NE(other->error().message.find("other model"), std::string::npos) << other->error().message;
}

TEST_F(InstanceRowsTest, AServerThatGoesFailsItsRowsAndIsFoundAgain) {
  auto gone = server(0);
  std::optional<Output> before;
  ask(0, {0, 3}, before);
  ASSERT_TRUE(turn_until([&] { return before.has_value(); }));
  ASSERT_TRUE(*before);
  gone.reset();
  std::optional<Output> without;
  ask(0, {0, 3}, without);
  ASSERT_TRUE(turn_until([&] { return without.has_value(); }));
  EXPECT_EQ(without->error().code, ErrorCode::kUnavailable);
  gone = server(0);
  std::optional<Output> after;
  ask(0, {0, 3}, after);
  ASSERT_TRUE(turn_until([&] { return after.has_value(); }));
  ASSERT_TRUE(*after) << after->error().message;
  EXPECT_EQ(**after, expected({0, 3}));
}

TEST_F(InstanceRowsTest, AHungInstanceHoldsUpNobodyElseAndItsConnectionIsNotTrusted) {
  const auto hung = server(0);
  const auto good = server(1);
  hung->hang();
  std::optional<Output> late;
  const auto id = ask(0, {0, 3}, late);
  std::optional<Output> quick;
  ask(1, {0, 3}, quick);
  ASSERT_TRUE(turn_until([&] { return quick.has_value(); }));
  EXPECT_EQ(quick->value(), expected({0, 3}));
  EXPECT_FALSE(late);
  turn_for(Milliseconds(250));
  std::optional<Output> patient;
  ask(0, {1, 5}, patient);
  rows_->cancel(id);
  rows_->cancel(id);
  turn_for(Milliseconds(20));
  hung->resume();
  ASSERT_TRUE(turn_until([&] { return patient.has_value(); })) << "it is asked again on a new connection";
  ASSERT_TRUE(*patient) << patient->error().message;
  EXPECT_EQ(**patient, expected({1, 5}));
  EXPECT_FALSE(late) << "cancelled";
}

TEST_F(InstanceRowsTest, RowsThatFailTogetherMayCancelEachOther) {
  int told = 0;
  std::array<InstanceRows::RowId, 2> ids{};
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = rows_->run(endpoint(0), {0, 1}, row_, [&, i](const Output& output) {
      EXPECT_FALSE(output);
      ++told;
      rows_->cancel(ids[1 - i]);
    });
  ASSERT_TRUE(turn_until([&] { return told > 0; }));
  turn_for(Milliseconds(5));
  EXPECT_EQ(told, 1);
}

TEST_F(InstanceRowsTest, InstancesThatLeftTheTableAreClosedWhenTheyAreIdle) {
  const auto left = server(0);
  std::optional<Output> output;
  ask(0, {0, 3}, output);
  rows_->keep_only({});
  ASSERT_TRUE(turn_until([&] { return output.has_value(); }));
  ASSERT_TRUE(*output) << output->error().message;
  EXPECT_TRUE(turn_until([&] { return left->stats().connections == 0; }));
  // Destroyed with a row under way: nobody is told.
  std::optional<Output> never;
  ask(0, {0, 3}, never);
  rows_.reset();
  turn_for(Milliseconds(5));
  EXPECT_FALSE(never);
}

}  // namespace
}  // namespace flexpert::engine
