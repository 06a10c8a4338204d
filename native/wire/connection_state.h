// What is behind Connection: the calls of one session, their timers, and what ends them.
//
// connection.cc is the door; connection_receive.cc turns frames into wire events, connection_send.cc answers into
// frames, connection_time.cc acts on what is due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "wire/call.h"
#include "wire/connection.h"
#include "wire/connection_age.h"
#include "wire/event_queue.h"
#include "wire/h2_session.h"
#include "wire/keepalive.h"
#include "wire/ping_strikes.h"
#include "wire/timers.h"
#include "wire/token_bucket.h"

namespace npuserve::wire {

class Connection::State final : private SessionSink {
 public:
  State(uint64_t id, const Limits& limits, MemoryBudget& budget, int64_t now_ns);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void receive(std::span<const std::byte> bytes, int64_t now_ns);
  void receive_end(int64_t now_ns);
  void advance(int64_t now_ns);
  void grant(int32_t stream_id, Reservation reservation, int64_t now_ns);
  int64_t next_wake_ns() const;
  std::optional<Event> next_event() { return events_.pop(); }

  bool wants_write() const { return !is_over() && session_.wants_write(); }
  void take_output(std::string& out, size_t about_bytes, int64_t now_ns);
  void set_writable(bool writable, int64_t now_ns);
  bool finished() const { return is_over() || (!session_.wants_read() && !session_.wants_write()); }
  bool aborted() const { return aborted_; }

  const CallHead* head(int32_t stream_id) const;
  void message_taken(int32_t stream_id);
  void send_message(int32_t stream_id, Buffer framed, Encoding encoding);
  void finish(int32_t stream_id, const core::Status& status, const Metadata& trailing);
  size_t unsent_bytes(int32_t stream_id) const;

  void announce_shutdown();
  void shut_down(int64_t now_ns);

  size_t open_calls() const { return calls_.size(); }
  uint64_t id() const { return id_; }

 private:
  // How far the goodbye is.
  enum class Farewell { kNone, kAnnounced, kShuttingDown, kLeaving, kOver };

  // --- SessionSink.
  void on_request(int32_t stream_id) override;
  void on_header(void* call, std::string_view name, std::string_view value) override;
  void on_frame_begins(uint8_t type, size_t length) override;
  void on_frame(const nghttp2_frame& frame) override;
  void on_data(int32_t stream_id, std::span<const std::byte> bytes) override;
  void on_frame_sent(const nghttp2_frame& frame) override;
  void on_stream_closed(int32_t stream_id) override;
  Chunk next_chunk(void* call, size_t room) override;
  void append_chunk(void* call, size_t bytes, std::string& out) override;

  // --- What comes (connection_receive.cc).
  Call* find(int32_t stream_id) const;
  void receive_headers(const nghttp2_frame& frame);
  void begin(Call& call);
  void feed(Call& call, std::span<const std::byte> bytes);
  void reserve(Call& call);
  void deliver(Call& call);
  bool inflate(Call& call, Message& message);
  void pause_feeding(Call& call, std::span<const std::byte> rest);
  void note_growth(Call& call);
  void open_window(Call& call);
  void end_client_side(Call& call);
  void stop_client_side(Call& call);
  void count_reset();

  // --- What goes (connection_send.cc).
  void tell(Call& call, EventKind kind);
  void answer(Call& call, const core::Status& status, const Metadata& trailing, int http_status = 200);
  void refuse(Call& call, const core::Status& status, EventKind kind = EventKind::kCallCancelled,
              int http_status = 200);
  void release(Call& call);
  void cancel_all();
  void leave(uint32_t error_code, std::string_view reason);
  void leave_if_done();
  void abort();
  void watch_end();
  bool is_over() const { return farewell_ == Farewell::kOver; }

  // --- Time (connection_time.cc).
  void set_timer(Timers::Kind kind, const Call& call, int64_t at_ns);
  bool is_stale(const Timers::Timer& timer) const;
  void expire(const Timers::Timer& timer);
  void check_growth(Call& call);
  void check_sent(Call& call);
  void watch_unsent();

  const uint64_t id_;
  const Limits& limits_;
  MemoryBudget& budget_;
  int64_t now_ns_;
  H2Session session_;
  CallPool calls_;
  EventQueue events_;
  Timers timers_;
  Keepalive keepalive_;
  ConnectionAge age_;
  PingStrikes strikes_;
  TokenBucket resets_;
  Farewell farewell_ = Farewell::kNone;
  bool aborted_ = false;
  int64_t finished_ns_ = kNever;       // since when it is, by itself
  int64_t unwritable_ns_ = kNever;     // since when, if the transport takes nothing
  std::vector<int32_t> maybe_unsent_;  // h2 streams whose messages the next output may leave behind
  int barren_frames_ = 0;              // in a row, that brought neither a call nor a byte of one
  int continuations_ = 0;              // in a row
};

}  // namespace npuserve::wire
