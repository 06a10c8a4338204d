// One connection's protocol, without its socket: requests go in, bytes come out; bytes go in, answers come out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace npuserve::load {

// What is no status of a server's, beside gRPC's codes (below 100) and HTTP's (from 100 on).
constexpr int kConnectionFailed = -1;
constexpr int kBadAnswer = -2;

struct Outcome {
  int code = 0;              // 0: success, for HTTP too
  std::string_view message;  // empty for success
};

class ChannelSink {
 public:
  // From within `receive` and `send`; must not call the channel. body: the serialized answer, which lives, as the
  // message does, during this call.
  virtual void on_answer(uint32_t ticket, const Outcome& outcome, std::string_view body) = 0;

 protected:
  ~ChannelSink() = default;
};

class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  virtual ~Channel() = default;

  // Whether another request can be sent now. Never again once `is_closing`.
  virtual bool has_room() const = 0;

  // REQUIRES: has_room(). request: prepared for this protocol; it must live until the answer, or the channel's end.
  virtual void begin(uint32_t ticket, std::string_view request) = 0;

  // False if the connection cannot go on; `failure` then says why.
  virtual bool receive(std::string_view bytes) = 0;

  // Appends to `out` until it holds about `until_bytes`, or nothing is left. False as above.
  virtual bool send(std::string& out, size_t until_bytes) = 0;

  // Whether the peer has greeted, if the protocol has a greeting.
  virtual bool is_ready() const = 0;

  // Whether the peer takes no more requests on this connection.
  virtual bool is_closing() const = 0;

  virtual std::string failure() const = 0;
};

}  // namespace npuserve::load
