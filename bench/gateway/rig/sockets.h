#pragma once

#include <cstdint>

namespace flexpert::bench {

/// Returns a non-blocking listening TCP socket on 127.0.0.1 (`port` 0: any free one), or -1.
int listen_locally(std::uint16_t port);
/// Returns the port of a bound socket.
std::uint16_t port_of(int fd);
/// Returns a port that nobody listens on at this moment.
std::uint16_t free_port();
/// Returns a non-blocking socket that connects to 127.0.0.1:`port`, or -1.
int connect_locally(std::uint16_t port);
/// Waits until somebody accepts on a port; false after `seconds`.
bool wait_for_port(std::uint16_t port, double seconds);
/// Lets this process have as many descriptors as the system allows; returns how many.
std::uint64_t raise_descriptor_limit();

}  // namespace flexpert::bench
