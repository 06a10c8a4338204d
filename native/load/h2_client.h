// nghttp2's client session: made, driven and freed; its callbacks as one interface.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace npuserve::load {

using Fields = std::vector<std::pair<std::string, std::string>>;

// One call as the session needs it: what is left to send, and what has come of its status.
struct H2Call {
  int32_t stream_id = 0;
  std::string_view unsent;
  bool sends_more = false;  // the call stays open for requests after `unsent`
  int http_status = 0;
  int grpc_status = -1;  // -1: none came
  std::string message;
  std::string received;
};

class H2Sink {
 public:
  virtual void on_data(H2Call& call) = 0;  // `received` has grown
  // The last of a call, which the session forgets. code: of HTTP/2, 0 if the call was ended properly.
  virtual void on_closed(H2Call& call, uint32_t code) = 0;

 protected:
  ~H2Sink() = default;
};

class H2Client {
 public:
  // The sink must outlive it. fields: the head of every call. Throws std::bad_alloc.
  H2Client(H2Sink& sink, Fields fields);

  // The call must stay where it is until it is closed. False if the connection takes no more calls.
  bool open(H2Call& call);
  // Sends what `unsent` now has. REQUIRES: the call is open and `sends_more`.
  void resume(const H2Call& call) { nghttp2_session_resume_data(session_.get(), call.stream_id); }

  // Both: false if the connection cannot go on. Throw what the sink threw.
  bool receive(std::string_view bytes);
  bool send(std::string& out, size_t until_bytes);

  bool has_settings() const { return has_settings_; }
  bool takes_calls() const { return nghttp2_session_check_request_allowed(session_.get()) != 0; }
  uint32_t max_calls() const {
    return nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  }
  const std::string& failure() const { return failure_; }

 private:
  friend struct H2ClientCallbacks;
  struct Delete {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };

  void rethrow();
  bool fail(ssize_t code);

  H2Sink& sink_;
  Fields fields_;
  std::vector<nghttp2_nv> head_;  // views into fields_
  std::unique_ptr<nghttp2_session, Delete> session_;
  std::exception_ptr thrown_;
  bool has_settings_ = false;
  std::string failure_;
};

}  // namespace npuserve::load
