// The server's side of one HTTP/2 connection that carries gRPC: bytes in, events out, bytes to send.
//
// Sans-I/O: no socket, no thread, no clock. Time comes in as an argument, as steady_now_ns() counts. One thread at a
// time. Protocol errors of the peer end the call or the connection as RFC 9113 and gRPC say; they never throw. Methods
// may throw std::bad_alloc.
//
// Flow control. A call's first 64 KiB come unasked. A longer message reserves its length of the budget, then its
// stream's window is opened for all of it, so a large tensor never waits for credit; without room in the budget the
// stream waits as it is. Credit for what follows a message returns when message_taken() says that its reader has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "wire/buffer.h"
#include "wire/call_head.h"
#include "wire/event.h"
#include "wire/limits.h"
#include "wire/memory_budget.h"

namespace npuserve::wire {

using Metadata = std::vector<std::pair<std::string, std::string>>;

class Connection {
 public:
  // id: its name in the budget's queue. The limits and the budget must outlive it.
  Connection(uint64_t id, const Limits& limits, MemoryBudget& budget, int64_t now_ns);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // --- What comes in.

  void receive(std::span<const std::byte> bytes, int64_t now_ns);

  // The peer has closed its side, or the transport is gone: every open call is cancelled.
  void receive_end(int64_t now_ns);

  // Acts on what is due: deadlines, keepalive, ages, slowness.
  void advance(int64_t now_ns);

  // The budget has room for a call that waited.
  void grant(int32_t stream_id, Reservation reservation, int64_t now_ns);

  // When advance() should be called next, if nothing else happens; kNever if there is nothing to wait for. Cheap.
  int64_t next_wake_ns() const;

  // Takes the oldest event.
  std::optional<Event> next_event();

  // --- What goes out.

  bool wants_write() const;

  // Appends what should be sent now to `out` until it holds `about_bytes` or nothing is left. Frames are never torn:
  // the last one may exceed the bound. It may end h2 streams and start clocks: ask for events and next_wake_ns() again.
  void take_output(std::string& out, size_t about_bytes, int64_t now_ns);

  // Whether the transport takes bytes at present. While it does not, a clock runs (slow_reader_timeout).
  void set_writable(bool writable, int64_t now_ns);

  // All has been said: the shell closes once what it took is sent.
  bool finished() const;

  // The peer is to be dropped without another byte.
  bool aborted() const;

  // --- Calls. What names a call that is gone has no effect.

  // Null if the call is gone. Valid until the call is.
  const CallHead* head(int32_t stream_id) const;

  // The reader has the last message that came: the credit for more returns.
  void message_taken(int32_t stream_id);

  // Queues a framed message (prefix and all). `encoding` is the one that its prefix says is used; the first message's
  // is announced in the response's headers, and the others must have the same. REQUIRES: not finished.
  void send_message(int32_t stream_id, Buffer framed, Encoding encoding = Encoding::kIdentity);

  // Ends the call behind what was queued. Without any message the answer is trailers alone. The text is
  // percent-encoded here; metadata values of "-bin" keys are base64-encoded here.
  void finish(int32_t stream_id, const core::Status& status, const Metadata& trailing = {});

  // Bytes of messages that are queued and not yet taken as output.
  size_t unsent_bytes(int32_t stream_id) const;

  // --- The end.

  // Asks the client to make no new calls here (GOAWAY NO_ERROR with the highest stream id). Those it makes nevertheless
  // are events as ever. Idempotent.
  void announce_shutdown();

  // As above, and finished() once the open calls are; new ones are refused by the protocol (REFUSED_STREAM).
  void shut_down(int64_t now_ns);

  size_t open_calls() const;
  uint64_t id() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace npuserve::wire
