// One HTTP/1.1 connection: bytes in, requests out; answers in, bytes out. It owns no socket and no clock.
//
// Requests are answered one after the other: the next is not read before the answer to the last is complete, so that
// answers to pipelined requests leave in order. What comes meanwhile is held, up to a bound, then reading stops.
//
//   phase    | what it waits for                  | left by
//   kIdle    | the next request's first byte      | that byte; the keep-alive timeout: kOver
//   kHead    | the rest of the head               | its end: kRoom, kBody, kRequest; what is no head: kOver
//   kRoom    | memory for the body                | grant(): kBody
//   kBody    | the rest of the body               | its end: kRequest; what is no body: kOver
//   kRequest | respond() or start_stream()        | respond(): kIdle or kOver; start_stream(): kStream
//   kStream  | send() and end_stream()            | end_stream(): kIdle or kOver
//   kOver    | what was answered to be taken      | the transport's end
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "wire/buffer.h"
#include "wire/call_head.h"
#include "wire/event.h"
#include "wire/http_answer.h"
#include "wire/http_chunks.h"
#include "wire/http_head.h"
#include "wire/http_limits.h"
#include "wire/memory_budget.h"
#include "wire/outgoing.h"

namespace npuserve::wire {

class HttpConnection {
 public:
  // What may be held while a request is being answered.
  static constexpr size_t kMaxHeldBytes = size_t{64} * 1024;

  // limits and budget must outlive it.
  HttpConnection(uint64_t id, const HttpLimits& limits, MemoryBudget& budget, int64_t now_ns);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  uint64_t id() const { return id_; }

  // --- Bytes and time.

  void receive(std::span<const std::byte> bytes, int64_t now_ns);

  // Room in the budget that was waited for.
  void grant(Reservation room, int64_t now_ns);

  // False: the shell should read no more for now.
  bool wants_read() const { return held_.size() - held_at_ < kMaxHeldBytes; }

  // Appends what is to be sent, about so many bytes.
  void take_output(std::string& out, size_t about_bytes, int64_t now_ns);
  bool wants_write() const { return !outgoing_.empty(); }
  void set_writable(bool writable, int64_t now_ns);

  void advance(int64_t now_ns);
  int64_t next_wake_ns() const;

  // Ends the connection with the request that is being received or answered, at once if there is none.
  void shut_down(int64_t now_ns);

  // Nothing more will be read; what was answered is still to be sent.
  bool finished() const { return phase_ == Phase::kOver; }

  // The client is sending still: behind what is sent, say so (FIN) and wait for its end; if not, close.
  bool lingers() const { return lingers_; }

  // Drop it at once.
  bool aborted() const { return aborted_; }

  // --- The request.

  // Whether there is a whole one whose answer has not begun.
  bool has_request() const { return phase_ == Phase::kRequest; }

  // Valid until the answer is complete.
  const HttpHead& head() const { return head_; }
  const Buffer& body() const { return body_.bytes; }
  Message take_body() { return std::move(body_); }

  // The bytes were copied: what is left of them is their part of the budget.
  void forget_body_bytes() { body_.bytes = Buffer(); }

  // Whether nothing is being received or answered.
  bool is_idle() const { return phase_ == Phase::kIdle; }

  // --- The answer.

  // The whole answer. REQUIRES: has_request(); each field may_be_given().
  void respond(int status, std::span<const HttpFieldText> fields, Buffer body, int64_t now_ns);

  // The answer's head; its body follows in pieces. REQUIRES: as respond().
  void start_stream(int status, std::span<const HttpFieldText> fields);
  void send(std::span<const std::byte> piece);
  void end_stream(int64_t now_ns);

  size_t unsent_bytes() const { return outgoing_.bytes(); }

 private:
  enum class Phase { kIdle, kHead, kRoom, kBody, kRequest, kStream, kOver };

  void go_on();
  void read(std::span<const std::byte>& bytes);
  void read_head(std::span<const std::byte>& bytes);
  void begin_body(bool has_more);
  void start_body(bool has_more);
  void read_body(std::span<const std::byte>& bytes);
  void read_chunks(std::span<const std::byte>& bytes);
  bool keep(std::span<const std::byte> content);
  void note_growth();
  void refuse(const HttpRefusal& refusal);
  void end_answer();
  void end();
  void push(std::string_view text);

  const uint64_t id_;
  const HttpLimits& limits_;
  MemoryBudget& budget_;
  int64_t now_ns_;

  Phase phase_ = Phase::kIdle;
  bool shuts_down_ = false;
  bool lingers_ = false;
  bool aborted_ = false;
  bool is_chunked_stream_ = false;
  bool sends_body_ = true;  // of the stream

  std::string head_text_;  // what head_ views
  HttpHead head_;
  HttpChunks chunks_;
  Message body_;
  size_t body_bytes_ = 0;  // as Content-Length states it

  std::string held_;  // before held_at_ it was read
  size_t held_at_ = 0;
  Reservation held_room_;

  Outgoing outgoing_;

  int64_t since_ns_;                // in the phase; in kBody since it last grew by 64 KiB
  size_t grown_bytes_ = 0;          // the body's size then
  int64_t sent_ns_ = 0;             // when output was last taken or let through, or came to be
  int64_t unwritable_ns_ = kNever;  // since when the transport has been full
};

}  // namespace npuserve::wire
