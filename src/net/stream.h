#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/deadline_timer.h"
#include "net/event_loop.h"
#include "net/name_lookup.h"
#include "net/unique_fd.h"

namespace flexpert::net {

/// Hears of one Stream, always from the loop and never from inside a call to the Stream. Each function may close or
/// destroy the Stream.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// A connect that Stream::connect() began has succeeded. Not called for accepted sockets.
  virtual void on_connected() {}
  /// Bytes have come; they are valid during the call.
  virtual void on_bytes(std::string_view bytes) = 0;
  /// Everything buffered has been taken by the kernel (called only when something had to be buffered).
  virtual void on_drained() {}
  /// The peer has closed or shut down its side (`error` null), or the connection failed. The last call.
  virtual void on_closed(const Error* error) = 0;
};

/// A non-blocking byte stream over TCP or a Unix socket. Belongs to the loop's thread. Destroying it closes it without
/// a callback; bytes not yet taken by the kernel are then lost.
class Stream final : private FdHandler {
 public:
  /// Takes an accepted, non-blocking socket. `handler` must outlive the stream.
  Stream(EventLoop& loop, UniqueFd connected, StreamHandler* handler);
  /// Begins to connect; then on_connected(), or on_closed() with the reason (kDeadlineExceeded after `timeout`).
  /// Bytes may be written before that. A host name is looked up first, in a thread of its own, at every connect, and its
  /// addresses are tried one after the other; `timeout` is for all of it. Errors: a connect that fails at once (no such
  /// socket file, refused).
  static Result<std::unique_ptr<Stream>> connect(EventLoop& loop, const Address& address, Duration timeout, StreamHandler* handler);
  ~Stream() override;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Sends bytes, or keeps those that the kernel does not take now. Ignored after close() and after an error, which
  /// on_closed() tells later.
  void write(std::string_view bytes) { write({bytes}); }
  /// Sends the parts one after the other, in one system call where possible.
  void write(std::initializer_list<std::string_view> parts);
  /// Shuts down the sending side once everything buffered is sent; reading goes on.
  void shutdown_when_drained();
  /// Stops or resumes reading, for back pressure. While it is stopped a peer that closes is still told at once, and
  /// what it had sent before is lost.
  void set_reading(bool reading);
  /// Closes now, without a callback.
  void close();

  /// Closes now so that a TCP peer sees a reset, never an orderly end.
  void reset();

  [[nodiscard]] bool open() const { return fd_ || lookup_; }
  [[nodiscard]] std::size_t buffered_bytes() const { return out_.size() - out_sent_; }
  /// Returns the socket; -1 while a host name is looked up, and after close().
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  Stream(EventLoop& loop, const Address& address, Duration timeout, StreamHandler* handler);
  void await_connect(UniqueFd connecting);
  void connect_to_next(Error last_error);
  void on_events(std::uint32_t events) override;
  void finish_connect();
  void read_some();
  bool flush();
  void fail_writes();
  void update_events();
  void closed(const Error* error);

  EventLoop& loop_;
  UniqueFd fd_;
  StreamHandler* handler_;
  std::unique_ptr<DeadlineTimer> connect_timer_;  ///< only while connecting
  Address peer_;                                  ///< only for connect()
  std::unique_ptr<NameLookup> lookup_;            ///< only while a host name is looked up; fd_ is empty then
  std::vector<Address> candidates_;               ///< addresses of the host name not yet tried, the next one last
  std::string out_;
  std::size_t out_sent_ = 0;
  std::uint32_t watched_events_ = 0;
  bool reading_ = true;
  bool connecting_ = false;
  bool write_failed_ = false;
  bool shutdown_asked_ = false;
  bool shutdown_done_ = false;
  bool* destroyed_ = nullptr;  ///< set by the destructor while a callback runs
};

}  // namespace flexpert::net
