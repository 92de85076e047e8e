#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include <sys/epoll.h>

#include "engine/expert/expert_server.h"
#include "engine/expert/group_compute.h"
#include "engine/expert/held_answers.h"
#include "net/unique_fd.h"

namespace flexpert::engine {

namespace wire = expert_protocol;

struct ExpertServerMetrics {
  explicit ExpertServerMetrics(telemetry::Registry& registry)
      : batches(registry.counter("flexpert_expert_server_batches_total", "Batches computed.")),
        rows(registry.counter("flexpert_expert_server_rows_total", "Expert rows computed.")),
        rejected(registry.counter("flexpert_expert_server_rejected_connections_total", "Connections closed for malformed bytes.")),
        refused(registry.counter("flexpert_expert_server_refused_hellos_total", "Hellos refused (other model, kernels or version).")),
        received(registry.counter("flexpert_expert_server_received_bytes_total", "Bytes received.")),
        sent(registry.counter("flexpert_expert_server_sent_bytes_total", "Bytes sent.")),
        pace(registry.gauge("flexpert_expert_server_pace_rows_per_second", "The emulated speed; 0 = raw speed, not paced.")) {}

  telemetry::Counter batches, rows, rejected, refused, received, sent;
  telemetry::Gauge pace;
};

/// What is behind an ExpertServer: listening, draining and figures in expert_server.cc, what is said on a connection in
/// expert_server_connection.cc.
struct ExpertServer::Impl final : net::FdHandler {
  struct Connection final : net::FdHandler {
    Connection(Impl& owner, std::uint64_t its_id, net::UniqueFd its_fd) : server(owner), id(its_id), fd(std::move(its_fd)) {}
    ~Connection() override {
      server.loop.cancel(hello_timer);
      if (fd) server.loop.unwatch(fd.get());
    }
    void on_events(std::uint32_t events) override { server.on_connection(*this, events); }

    Impl& server;
    std::uint64_t id;
    net::UniqueFd fd;
    wire::FrameDecoder decoder{wire::kMaxHelloPayload};
    wire::Bytes out;
    std::size_t sent = 0;
    std::size_t held_bytes = 0;
    net::TimerId hello_timer = 0;
    std::uint32_t watched = EPOLLIN;
    bool greeted = false;
    bool closing = false;  ///< closed once everything in `out` is sent
    bool dead = false;     ///< to be erased by whoever holds it last
  };

  Impl(net::EventLoop& its_loop, std::shared_ptr<const PackFile> its_pack, ExpertServerOptions its_options, telemetry::Registry& registry,
       const Clock& its_clock)
      : loop(its_loop), pack(std::move(its_pack)), options(std::move(its_options)), clock(its_clock), metrics(registry),
        pool(std::max(options.threads, 1U)), compute(pool),
        held(loop, clock, options.pace_rows_per_s, [this](HeldAnswers::Answer& answer) { release(answer); }),
        slot_rows(pack->geometry().size()) {}
  ~Impl() override;

  void on_events(std::uint32_t) override { accept_all(); }
  void accept_all();
  void on_connection(Connection& connection, std::uint32_t events);
  void read(Connection& connection);
  void process(Connection& connection);
  void handle(Connection& connection, const wire::Frame& frame);
  void greet(Connection& connection, const wire::Frame& frame);
  void compute_batch(Connection& connection, const wire::Frame& frame);
  Result<void> check_batch(const wire::Batch& batch);
  void release(HeldAnswers::Answer& answer);
  void prefetch_one();
  void cancel_held(Connection& connection, std::uint64_t correlation);
  void answer_error(Connection& connection, std::uint64_t correlation, const Error& error);
  void reject(Connection& connection, const Error& error);
  void flush(Connection& connection);
  void update_events(Connection& connection);
  void erase_if_dead(Connection& connection);
  void stop_listening();
  void begin_drain(Duration deadline);
  void finish_drain_if_idle();
  void end_drain();
  [[nodiscard]] wire::Stats current_stats() const;

  net::EventLoop& loop;
  std::shared_ptr<const PackFile> pack;
  ExpertServerOptions options;
  const Clock& clock;
  ExpertServerMetrics metrics;
  ComputePool pool;
  GroupCompute compute;
  net::Address listen_address;
  net::UniqueFd listener;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::uint64_t next_connection = 1;
  HeldAnswers held;
  net::TimerId accept_timer = 0;
  std::deque<ExpertSlot> to_prefetch;
  net::TimerId prefetch_timer = 0;
  std::vector<std::uint64_t> slot_rows;
  wire::Stats totals;
  std::vector<ComputeGroup> groups;
  net::TimerId drain_timer = 0;
  bool draining = false;
  bool drain_ending = false;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> drain_askers;  ///< connection and correlation id of drain frames
  std::vector<std::move_only_function<void()>> on_drained;
};

}  // namespace flexpert::engine
