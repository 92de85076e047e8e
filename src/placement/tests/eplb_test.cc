#include "placement/eplb.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::placement {
namespace {

using Matrix = std::vector<std::vector<std::int32_t>>;

ExpertCounts golden_counts() {
  return {{2, 12}, {90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86, 20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}, 0};
}

Matrix rows(const ExpertLayout& layout) {
  Matrix out;
  for (std::uint32_t l = 0; l < layout.geometry.layers; ++l) out.emplace_back(layout.layer(l).begin(), layout.layer(l).end());
  return out;
}

/// The algorithm as its definition reads, one step after the other.
struct Reference {
  struct Packed {
    std::vector<std::size_t> pack;
    std::vector<std::size_t> rank;
  };

  static Packed balanced_packing(const std::vector<float>& weights, std::size_t packs) {
    const std::size_t room = weights.size() / packs;
    Packed out{std::vector<std::size_t>(weights.size()), std::vector<std::size_t>(weights.size(), 0)};
    std::vector<std::size_t> order(weights.size());
    std::iota(order.begin(), order.end(), 0U);
    if (room == 1) return {order, out.rank};
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return weights[a] > weights[b]; });
    std::vector<float> load(packs, 0.0F);
    std::vector<std::size_t> items(packs, 0);
    for (const std::size_t item : order) {
      std::size_t best = packs;
      for (std::size_t p = 0; p < packs; ++p)
        if (items[p] < room && (best == packs || load[p] < load[best])) best = p;
      out.pack[item] = best;
      out.rank[item] = items[best]++;
      load[best] += weights[item];
    }
    return out;
  }

  static std::vector<std::int32_t> layer(const std::vector<float>& weights, std::size_t replicas, std::size_t groups, std::size_t nodes,
                                         std::size_t devices) {
    if (groups % nodes != 0) groups = nodes = 1;
    const std::size_t group_size = weights.size() / groups;
    std::vector<float> sums(groups, 0.0F);
    for (std::size_t e = 0; e < weights.size(); ++e) sums[e / group_size] += weights[e];
    const Packed of_groups = balanced_packing(sums, nodes);
    std::vector<std::int32_t> out(replicas);
    for (std::size_t node = 0; node < nodes; ++node) {
      std::vector<std::size_t> members;
      for (std::size_t rank = 0; rank < groups / nodes; ++rank)
        for (std::size_t g = 0; g < groups; ++g)
          if (of_groups.pack[g] == node && of_groups.rank[g] == rank)
            for (std::size_t i = 0; i < group_size; ++i) members.push_back(g * group_size + i);
      std::vector<std::size_t> replica(members.size());
      std::iota(replica.begin(), replica.end(), 0U);
      std::vector<float> copies(members.size(), 1.0F);
      while (replica.size() < replicas / nodes) {
        std::size_t best = 0;
        for (std::size_t i = 1; i < members.size(); ++i)
          if (weights[members[i]] / copies[i] > weights[members[best]] / copies[best]) best = i;
        replica.push_back(best);
        copies[best] += 1;
      }
      std::vector<float> shares;
      for (const std::size_t i : replica) shares.push_back(weights[members[i]] / copies[i]);
      const Packed packed = balanced_packing(shares, devices / nodes);
      for (std::size_t r = 0; r < replica.size(); ++r)
        out[node * (replicas / nodes) + packed.pack[r] * (replicas / devices) + packed.rank[r]] =
            static_cast<std::int32_t>(members[replica[r]]);
    }
    return out;
  }
};

TEST(Eplb, GoldenHierarchical) {
  const auto plan = plan_eplb(golden_counts(), {16, 4, 2, 8});
  ASSERT_TRUE(plan);
  EXPECT_EQ(rows(*plan), (Matrix{{5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1}, {7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1}}));
  EXPECT_EQ(plan->slots_of_device, std::vector<std::uint32_t>(8, 2));
}

TEST(Eplb, GoldenGlobal) {
  const auto plan = plan_eplb(golden_counts(), {16, 3, 2, 8});
  ASSERT_TRUE(plan);
  EXPECT_EQ(rows(*plan), (Matrix{{10, 6, 10, 7, 0, 2, 11, 4, 5, 9, 5, 4, 8, 3, 1, 1}, {1, 10, 2, 4, 5, 11, 5, 0, 6, 7, 6, 3, 8, 8, 9, 7}}));
}

/// Loads with what makes ties: few distinct numbers, many zeros, or none of that.
ExpertCounts random_counts(Rng& rng, ExpertGeometry geometry) {
  ExpertCounts out{geometry, std::vector<double>(geometry.size()), 0};
  const std::uint64_t kind = rng.below(5);
  for (double& count : out.count) {
    if (kind == 0) count = static_cast<double>(rng.below(4));
    if (kind == 1) count = rng.uniform() < 0.7 ? 0 : static_cast<double>(rng.below(1000));
    if (kind == 2) count = std::exp(4 * rng.uniform());
    if (kind == 3) count = static_cast<double>(rng.below(131072));
    if (kind == 4) count = rng.uniform() < 0.1 ? 1e30 * rng.uniform() : rng.uniform();
  }
  return out;
}

TEST(Eplb, EqualsTheReferenceOnRandomInputs) {
  Rng rng(11);
  int global = 0;
  for (int round = 0; round < 1000; ++round) {
    const auto nodes = static_cast<std::uint32_t>(1 + rng.below(4));
    const auto groups = static_cast<std::uint32_t>(rng.below(2) == 0 ? nodes * (1 + rng.below(3)) : 1 + rng.below(6));
    const auto devices = static_cast<std::uint32_t>(nodes * (1 + rng.below(5)));
    const auto experts = static_cast<std::uint32_t>(groups * (1 + rng.below(12)));
    const std::uint32_t replicas = (experts + devices - 1) / devices * devices + static_cast<std::uint32_t>(devices * rng.below(4));
    const ExpertCounts counts = random_counts(rng, {2, experts});
    const auto plan = plan_eplb(counts, {replicas, groups, nodes, devices});
    ASSERT_TRUE(plan) << plan.error().message;
    global += groups % nodes != 0;
    for (std::uint32_t l = 0; l < 2; ++l) {
      const std::vector<float> weights(counts.layer(l).begin(), counts.layer(l).end());
      ASSERT_EQ(rows(*plan)[l], Reference::layer(weights, replicas, groups, nodes, devices))
          << "round " << round << ": " << experts << " -> " << replicas << ", " << groups << " groups, " << nodes << " nodes, " << devices
          << " devices";
    }
  }
  EXPECT_GT(global, 100);
  EXPECT_LT(global, 900);
}

TEST(Eplb, EqualsTheReferenceOnFullSizeLayers) {
  Rng rng(12);
  for (int kind = 0; kind < 6; ++kind) {
    const ExpertCounts counts = random_counts(rng, {1, 256});
    const std::vector<float> weights(counts.count.begin(), counts.count.end());
    EXPECT_EQ(rows(plan_eplb(counts, {288, 8, 4, 32}).value())[0], Reference::layer(weights, 288, 8, 4, 32));
    EXPECT_EQ(rows(plan_eplb(counts, {288, 7, 4, 72}).value())[0], Reference::layer(weights, 288, 7, 4, 72));
  }
}

TEST(Eplb, SaysWhatDoesNotDivide) {
  const auto message = [](const EplbShape& shape) {
    const auto plan = plan_eplb(golden_counts(), shape);
    return plan ? std::string() : plan.error().message;
  };
  EXPECT_EQ(message({8, 4, 2, 8}), "eplb: needs a replica of each of the 12 experts: 8 replicas; raise replicas");
  EXPECT_EQ(message({17, 4, 2, 8}), "eplb: replicas must divide by devices: 17 replicas, 8 devices");
  EXPECT_EQ(message({16, 8, 2, 8}), "eplb: experts must divide by groups: 12 experts, 8 groups");
  EXPECT_EQ(message({15, 3, 3, 5}), "eplb: devices must divide by nodes: 5 devices, 3 nodes");
  EXPECT_EQ(message({16, 0, 2, 8}), "eplb: needs at least one device, node and group: 8 devices, 2 nodes, 0 groups");
  EXPECT_NE(message({1U << 31, 1, 1, 1}), "");
  ExpertCounts bad = golden_counts();
  bad.count[13] = std::nan("");
  EXPECT_NE(plan_eplb(bad, {16, 4, 2, 8}).error().message.find("layer 1 expert 1"), std::string::npos);
}

}  // namespace
}  // namespace flexpert::placement
