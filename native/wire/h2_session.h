// nghttp2's server session: made, driven and freed; its callbacks as one interface.
//
// What a SessionSink throws inside of a callback is kept, ends the call into nghttp2, and is thrown again behind it.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "wire/limits.h"

namespace npuserve::wire {

// What to send of a call's messages next.
struct Chunk {
  size_t bytes = 0;   // 0 without `last`: nothing at present
  bool last = false;  // no DATA will follow
};

class SessionSink {
 public:
  virtual void on_request(int32_t stream_id) = 0;
  virtual void on_header(void* call, std::string_view name, std::string_view value) = 0;
  virtual void on_frame(const nghttp2_frame& frame) = 0;
  virtual void on_frame_begins(uint8_t type, size_t length) = 0;
  virtual void on_data(int32_t stream_id, std::span<const std::byte> bytes) = 0;
  virtual void on_frame_sent(const nghttp2_frame& frame) = 0;
  virtual void on_stream_closed(int32_t stream_id) = 0;
  virtual Chunk next_chunk(void* call, size_t room) = 0;
  virtual void append_chunk(void* call, size_t bytes, std::string& out) = 0;

 protected:
  ~SessionSink() = default;
};

class H2Session {
 public:
  // The sink must outlive it. Throws std::bad_alloc.
  H2Session(SessionSink& sink, const Limits& limits);

  nghttp2_session* get() { return session_.get(); }
  const nghttp2_session* get() const { return session_.get(); }

  // False if the connection cannot go on: not HTTP/2, or a flood. Throws what the sink threw, and std::bad_alloc.
  bool receive(std::span<const std::byte> bytes);

  // Appends whole frames until `out` holds `until_bytes` or none is left. False and throws as above.
  bool send(std::string& out, size_t until_bytes);

  bool wants_write() const { return nghttp2_session_want_write(session_.get()) != 0; }
  bool wants_read() const { return nghttp2_session_want_read(session_.get()) != 0; }

  // The body of an answer, for nghttp2_submit_response: pulled from the sink.
  static nghttp2_data_provider body(void* call);

 private:
  friend struct Callbacks;
  struct Delete {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };

  void rethrow();

  SessionSink& sink_;
  std::unique_ptr<nghttp2_session, Delete> session_;
  std::exception_ptr thrown_;
  std::string* out_ = nullptr;  // while in send()
  size_t until_bytes_ = 0;
};

// Throws std::bad_alloc if that is what the code says; any other is returned.
int check_memory(int code);

}  // namespace npuserve::wire
