#include <cstdio>

#include "figures.h"
#include "rig/backend.h"
#include "rig/load.h"
#include "rig/proxy.h"
#include "rig/requests.h"

int main(int argc, char** argv) {
  using namespace flexpert::bench;
  const std::size_t body = argc > 2 ? std::stoul(argv[2]) : 250;
  const std::uint64_t n = argc > 3 ? std::stoull(argv[3]) : 3000;
  const std::size_t conns = argc > 4 ? std::stoul(argv[4]) : 32;
  auto backend = Backend::start(1, 0);
  BenchFolder folder;
  ProxySetting setting{.upstreams = (*backend)->ports(), .core = 1};
  auto nginx = start_nginx(folder, setting);
  if (!nginx) return std::puts(nginx.error().message.c_str());
  auto haproxy = start_haproxy(folder, setting);
  if (!haproxy) return std::puts(haproxy.error().message.c_str());
  auto own = start_gateway(folder, argv[1], setting);
  if (!own) return std::puts(own.error().message.c_str());
  pin_to_core(0);
  const std::string request = chat_request({.body_bytes = body});
  struct Side { Proxy* proxy; std::unique_ptr<Load> load; };
  Side sides[] = {{own->proxy.get(), nullptr}, {nginx->get(), nullptr}, {haproxy->get(), nullptr}};
  for (Side& s : sides) s.load = std::make_unique<Load>(s.proxy->port(), conns);
  for (int round = 0; round < 4; ++round)
    for (Side& s : sides) {
      const Cost before = s.proxy->watch().read();
      const LoadResult r = s.load->closed_loop(request, n);
      const Cost used = s.proxy->watch().read() - before;
      fmt::print("{:9} {} ok {} failed {} | {:.2f} us/req {:.1f} k user instr {:.1f} k instr | {:.0f} req/s p50 {:.2f} p99 {:.2f} ms {}\n", s.proxy->name(),
                 r.completed, r.failed, "", used.cpu_s * 1e6 / n, used.user_instructions / 1e3 / n, used.instructions / 1e3 / n, r.completed / r.seconds,
                 quantile(r.latency_ms, 0.5), quantile(r.latency_ms, 0.99), r.first_failure);
    }
}
