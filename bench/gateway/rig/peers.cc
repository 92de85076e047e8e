#include <fmt/format.h>

#include "rig/proxy.h"
#include "rig/sockets.h"

namespace flexpert::bench {

Result<std::unique_ptr<Proxy>> start_nginx(const BenchFolder& folder, const ProxySetting& setting) {
  const std::uint16_t port = free_port();
  const std::string place = folder.path().string();
  std::string servers;
  for (const std::uint16_t upstream : setting.upstreams) servers += fmt::format("    server 127.0.0.1:{};\n", upstream);
  const std::string config = fmt::format(
      R"(daemon off;
worker_processes 1;
pid {0}/nginx.pid;
error_log {0}/nginx-error.log error;
events {{
  worker_connections 24000;
  use epoll;
}}
http {{
  access_log off;
  server_tokens off;
  keepalive_timeout 75s;
  keepalive_requests 100000000;
  tcp_nodelay on;
  client_body_buffer_size 1m;
  client_max_body_size 16m;
  client_body_temp_path {0}/nginx-body;
  proxy_temp_path {0}/nginx-proxy;
  fastcgi_temp_path {0}/nginx-fastcgi;
  uwsgi_temp_path {0}/nginx-uwsgi;
  scgi_temp_path {0}/nginx-scgi;
  upstream engines {{
{1}    keepalive 20000;
    keepalive_requests 100000000;
    keepalive_timeout 75s;
  }}
  server {{
    listen 127.0.0.1:{2} backlog=4096;
    location / {{
      proxy_pass http://engines;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_read_timeout 600s;
      proxy_buffering {3};
    }}
  }}
}}
)",
      place, servers, port, setting.streams ? "off" : "on");
  const std::string file = folder.write("nginx.conf", config);
  return Proxy::start("nginx", {"/usr/sbin/nginx", "-p", place, "-c", file, "-e", place + "/nginx-start.log"}, place + "/nginx.log", port, setting.core,
                      true);
}

Result<std::unique_ptr<Proxy>> start_haproxy(const BenchFolder& folder, const ProxySetting& setting) {
  const std::uint16_t port = free_port();
  std::string servers;
  for (std::size_t i = 0; i < setting.upstreams.size(); ++i) servers += fmt::format("  server s{} 127.0.0.1:{}\n", i + 1, setting.upstreams[i]);
  const std::string config = fmt::format(
      R"(global
  nbthread 1
  maxconn 9500
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 75s
  http-reuse always
  {0}
frontend edge
  bind 127.0.0.1:{1} backlog 4096
  default_backend engines
backend engines
  balance leastconn
{2})",
      setting.streams ? "option http-no-delay" : "", port, servers);
  const std::string file = folder.write("haproxy.cfg", config);
  return Proxy::start("haproxy", {"/usr/sbin/haproxy", "-db", "-f", file}, (folder.path() / "haproxy.log").string(), port, setting.core, false);
}

}  // namespace flexpert::bench
