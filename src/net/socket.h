#pragma once

#include <string>

#include "base/result.h"
#include "net/address.h"
#include "net/unique_fd.h"

namespace flexpert::net {

/// Makes a listening, non-blocking, close-on-exec socket. A stale Unix socket file that nobody answers on is
/// replaced; one that answers is an error. TCP: SO_REUSEADDR, TCP_NODELAY on accepted sockets. A host name is looked up
/// first, which blocks: listening belongs to start-up. With `share_port` (TCP) another socket of the same user may listen on
/// the port as well, if it says so too: SO_REUSEPORT.
Result<UniqueFd> listen_on(const Address& address, int backlog = 512, bool share_port = false);
/// Returns the address that a listening socket really has (port 0 resolved).
Result<Address> bound_address(int fd, const Address& asked);
/// Takes over a listening socket that somebody else made: sets it non-blocking and close-on-exec, and returns its address. Errors:
/// kInvalidArgument if it is no listening socket.
Result<Address> adopt_listening(int fd);
/// Accepts one connection, non-blocking; fd < 0 inside the result never happens: kUnavailable means none is waiting.
Result<UniqueFd> accept_one(int listening_fd);
/// Starts a non-blocking connect; the descriptor becomes writable when it is done, see connect_result(). Host names are
/// refused, because a lookup blocks: Stream::connect() takes them.
Result<UniqueFd> start_connect(const Address& address);
/// Returns how a connect that start_connect() began has ended.
Result<void> connect_result(int fd, const Address& address);
/// Returns who is at the other end of a connected socket, for logs: "127.0.0.1:40312" or "unix".
std::string peer_name(int fd);

}  // namespace flexpert::net
