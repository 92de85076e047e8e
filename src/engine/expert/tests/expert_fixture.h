#pragma once

#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "engine/expert/expert_server.h"
#include "engine/expert/remote_experts.h"
#include "engine/expert/seeded_pack.h"

namespace flexpert::engine::testing {

/// A folder that is removed with its contents.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "flexpert-expert-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline SeededPackShape small_shape(std::uint64_t seed = 1) { return {{2, 8}, 64, 48, seed}; }

inline std::shared_ptr<const PackFile> make_pack(const std::string& path, const SeededPackShape& shape = small_shape()) {
  const auto written = write_seeded_pack(path, shape);
  EXPECT_TRUE(written) << written.error().message;
  auto pack = PackFile::open(path);
  EXPECT_TRUE(pack) << pack.error().message;
  return *pack;
}

/// An expert server on a thread of its own.
class ServerThread {
 public:
  ServerThread(std::shared_ptr<const PackFile> pack, ExpertServerOptions options) {
    auto server = ExpertServer::start(loop_, std::move(pack), std::move(options), metrics_, clock_);
    EXPECT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    address_ = server_->address().to_string();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ServerThread() { stop(); }

  void stop() {
    if (!thread_.joinable()) return;
    loop_.post([this] {
      server_.reset();
      loop_.stop();
    });
    thread_.join();
  }
  /// Makes the server stop in its tracks, connections open, until resume().
  void hang() {
    std::promise<void> stopped;
    loop_.post([&stopped, go_on = (go_on_ = std::promise<void>()).get_future()] {
      stopped.set_value();
      go_on.wait();
    });
    stopped.get_future().wait();
  }
  void resume() { go_on_.set_value(); }
  void drain(Duration deadline, std::function<void()> done) {
    loop_.post([this, deadline, done = std::move(done)] { server_->drain(deadline, done); });
  }
  /// Reads the statistics; the server goes on.
  expert_protocol::Stats stats() {
    std::promise<expert_protocol::Stats> promise;
    loop_.post([&] { promise.set_value(server_->stats()); });
    return promise.get_future().get();
  }
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  SystemClock clock_;
  telemetry::Registry metrics_;
  net::EventLoop loop_;
  std::unique_ptr<ExpertServer> server_;
  std::string address_;
  std::promise<void> go_on_;
  std::thread thread_;
};

/// One layer's rows with made-up routing, and room for its outputs.
class Layer {
 public:
  Layer(const PackFile& pack, std::uint32_t layer, std::uint32_t rows, std::uint64_t seed, std::uint32_t per_row = 3)
      : hidden_(pack.hidden_size()), input_(std::size_t{rows} * hidden_), rows_of_(pack.geometry().experts) {
    Rng rng(seed);
    for (float& value : input_) value = static_cast<float>(rng.uniform() * 2 - 1);
    for (std::uint32_t row = 0; row < rows; ++row)
      for (std::uint32_t k = 0, e = static_cast<std::uint32_t>(rng.below(rows_of_.size())); k < per_row; ++k)
        rows_of_[(e + k * k) % rows_of_.size()].push_back(row);
    std::size_t assignments = 0;
    for (const auto& list : rows_of_) assignments += list.size();
    output_.assign(assignments * hidden_, -1.0F);
    std::size_t at = 0;
    for (std::uint32_t e = 0; e < rows_of_.size(); ++e) {
      if (rows_of_[e].empty()) continue;
      groups_.push_back({e, rows_of_[e], output_.data() + at * hidden_});
      at += rows_of_[e].size();
    }
    batch_ = {.layer = layer, .step = 1, .rows = input_, .row_count = rows, .hidden = hidden_, .groups = groups_};
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// Runs the layer and returns its outputs' bytes.
  std::vector<float> run(ExpertExecutor& executor) {
    std::fill(output_.begin(), output_.end(), -1.0F);
    executor.begin_step(1);
    executor.compute(batch_);
    return output_;
  }
  [[nodiscard]] std::size_t assignments() const { return output_.size() / hidden_; }

 private:
  std::uint32_t hidden_;
  std::vector<float> input_;
  std::vector<std::vector<std::uint32_t>> rows_of_;
  std::vector<float> output_;
  std::vector<ExpertGroup> groups_;
  ExpertBatch batch_;
};

/// A table in which every slot has a replica on each of `addresses`.
inline std::shared_ptr<const RoutingTable> full_table(ExpertGeometry geometry, const std::vector<std::string>& addresses,
                                                      std::uint64_t epoch = 1) {
  RoutingTable table{.epoch = epoch, .geometry = geometry, .endpoints = {}, .replicas = {}};
  std::vector<std::uint16_t> all;
  for (std::uint16_t i = 0; i < addresses.size(); ++i) {
    table.endpoints.push_back({InstanceId{"expert-" + std::to_string(i)}, addresses[i]});
    all.push_back(i);
  }
  table.replicas.assign(geometry.size(), all);
  return std::make_shared<const RoutingTable>(std::move(table));
}

/// Reads the value of a metric without labels; -1 when it is not there.
inline double metric(const telemetry::Registry& registry, const std::string& name) {
  const std::string text = "\n" + registry.text();
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + name.size() + 2, nullptr);
}

}  // namespace flexpert::engine::testing
