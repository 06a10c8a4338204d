// A gRPC client's side of a connection for tests: nghttp2's own client session, which checks what the server sends.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace npuserve::wire {

using Field = std::pair<std::string, std::string>;

// What came back on one h2 stream.
struct Answer {
  std::vector<Field> headers;  // the first block
  std::vector<Field> trailers;
  std::string body;
  bool is_ended = false;
  bool is_closed = false;
  uint32_t error_code = 0;

  // The value in the trailers, else in the headers; "" if there is none.
  std::string field(std::string_view name) const;
};

class ClientSession {
 public:
  explicit ClientSession(std::vector<nghttp2_settings_entry> settings = {});

  // Opens a call. Without `ends` its client side stays open.
  int32_t open(std::string_view path, const std::vector<Field>& more = {}, bool ends = false);
  int32_t open_with(const std::vector<Field>& fields, bool ends);

  void send(int32_t stream_id, std::string_view bytes, bool ends = false);
  void reset(int32_t stream_id, uint32_t error_code = NGHTTP2_CANCEL);
  void ping();

  // The bytes for the server that are due now.
  std::string take();
  // False if the server's bytes are not HTTP/2.
  bool receive(std::string_view bytes);

  const Answer& answer(int32_t stream_id) { return answers_[stream_id]; }
  nghttp2_session* get() { return session_.get(); }

  // Of the connection.
  int pings = 0;
  int ping_acks = 0;
  bool ack_pings = true;
  struct Goaway {
    int32_t last_stream_id;
    uint32_t error_code;
    std::string text;
  };
  std::vector<Goaway> goaways;
  std::map<int32_t, uint32_t> server_settings;

 private:
  friend struct ClientCallbacks;
  struct Delete {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };
  struct Body {
    std::string bytes;
    bool ends = false;
  };

  std::unique_ptr<nghttp2_session, Delete> session_;
  std::map<int32_t, Answer> answers_;
  std::map<int32_t, Body> bodies_;
};

// The fields of a good request.
std::vector<Field> request_fields(std::string_view path);

// A message behind its prefix.
std::string framed(std::string_view message, char flags = 0);

}  // namespace npuserve::wire
