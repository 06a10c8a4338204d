// All HTTP connections of one event loop, and the way of an inference from its bytes to a sink and back. An inference
// with a route and of the binary shape (http_infer_request.h) never leaves C++.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/status.h"
#include "wire/call_head.h"
#include "wire/http_connection.h"
#include "wire/http_limits.h"
#include "wire/infer_call.h"
#include "wire/loop_endpoint.h"

namespace npuserve::wire {

// What happened to a request that handlers answer. A connection has one at a time and is its name.
struct HttpEvent {
  enum class Kind { kStarted, kEnded };
  Kind kind = Kind::kStarted;
  uint64_t connection = 0;
};

class HttpEndpoint final : public LoopEndpoint {
 public:
  // The destructor blocks until all submitted requests have completed. Throws std::system_error.
  explicit HttpEndpoint(const HttpLimits& limits);

  const HttpLimits& limits() const { return limits_; }

  // From now on answers every new request so (JSON) and closes its connection; idle connections are closed at once.
  void refuse_new_requests(int status, std::string message, int64_t now_ns);

  // Lets every connection finish once its request is answered.
  void shut_down(int64_t now_ns) override;

  // --- Connections. Their ids are never used again.

  uint64_t open(int64_t now_ns);
  void receive(uint64_t connection, std::span<const std::byte> bytes, int64_t now_ns) override;
  void set_writable(uint64_t connection, bool writable, int64_t now_ns) override;

  // As HttpConnection::take_output; what the output brings about is acted on.
  void take_output(uint64_t connection, std::string& out, size_t about_bytes, int64_t now_ns) override;

  // The transport is gone: its request is cancelled.
  void close(uint64_t connection, int64_t now_ns) override;

  // Null if there is none of that id.
  HttpConnection* find(uint64_t connection);
  size_t connections() const override { return connections_.size(); }

  void take_touched(std::vector<uint64_t>& connections) override;

  // --- Time.

  void advance(int64_t now_ns) override;
  int64_t next_wake_ns() const override { return wakes_.empty() ? kNever : wakes_.begin()->first; }
  void grant_waiting(int64_t now_ns) override;

  // --- Requests that handlers answer. Nothing happens for a connection that is gone.

  // False if there is none.
  bool next_event(HttpEvent& event);

  void respond(uint64_t connection, int status, const std::vector<HttpFieldText>& fields,
               std::span<const std::byte> body, int64_t now_ns);
  void start_stream(uint64_t connection, int status, const std::vector<HttpFieldText>& fields, int64_t now_ns);
  void send(uint64_t connection, std::span<const std::byte> piece, int64_t now_ns);
  void end_stream(uint64_t connection, int64_t now_ns);

  // Requests that have no whole answer yet.
  size_t open_requests() const { return open_requests_; }

  bool is_quiet() const override;

 private:
  // Whose a connection's request is. kNone: there is none, or it is not whole yet.
  enum class Stage { kNone, kSubmitted, kHandler };
  struct Entry {
    std::unique_ptr<HttpConnection> connection;
    Stage stage = Stage::kNone;
    std::shared_ptr<const InferTarget> target{};  // kSubmitted
    int64_t wake_ns = kNever;                     // its entry in wakes_, if it has one
    bool touched = false;
  };
  struct Refusal {
    int status = 503;
    std::string message;
  };

  void settle(Entry& entry, int64_t now_ns);
  void start(Entry& entry, int64_t now_ns);
  bool infer(Entry& entry, int64_t now_ns);
  void finish(Entry& entry);
  void answer(InferCall& finished, int64_t now_ns) override;
  Entry* answered_by_handler(uint64_t connection);

  void touch(Entry& entry);
  void schedule(Entry& entry);

  const HttpLimits limits_;
  std::optional<Refusal> refusal_;
  uint64_t last_connection_ = 0;
  size_t open_requests_ = 0;
  std::unordered_map<uint64_t, Entry> connections_;
  std::deque<HttpEvent> events_;
  std::vector<uint64_t> touched_;
  std::set<std::pair<int64_t, uint64_t>> wakes_;  // when, and which connection: one entry for each at most
};

}  // namespace npuserve::wire
