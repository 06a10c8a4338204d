// All HTTP connections of one event loop, and the way of an inference from its bytes to a sink and back.
//
// One thread, the loop's: the shell calls in when bytes came, when time passed, when the queue's file descriptor is
// readable. After each of these it takes the events for its handlers and flushes the connections that were touched. An
// inference with a route and of the binary shape (http_infer_request.h) never leaves C++. The engine's threads meet the
// loop in the queue's outbox and nowhere else.
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
#include "wire/infer_codec.h"
#include "wire/infer_queue.h"
#include "wire/infer_request.h"
#include "wire/infer_routes.h"
#include "wire/memory_budget.h"
#include "wire/observation.h"

namespace npuserve::wire {

// What happened to a request that handlers answer. A connection has one at a time and is its name.
struct HttpEvent {
  enum class Kind { kStarted, kEnded };
  Kind kind = Kind::kStarted;
  uint64_t connection = 0;
};

// A request that a model accepted and failed to answer (INTERNAL), for the log.
struct HttpFailure {
  std::string model;
  std::string message;
};

class HttpEndpoint {
 public:
  // The destructor blocks until all submitted requests have completed. Throws std::system_error.
  explicit HttpEndpoint(const HttpLimits& limits);
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  const HttpLimits& limits() const { return limits_; }
  const MemoryBudget& budget() const { return budget_; }
  int file_descriptor() const { return queue_.file_descriptor(); }

  // Replaces all routes. What was submitted goes on.
  void set_routes(const std::vector<Route>& routes) { routes_.replace(routes); }

  // From now on answers every new request so (JSON) and closes its connection; idle connections are closed at once.
  void refuse_new_requests(int status, std::string message, int64_t now_ns);

  // Lets every connection finish once its request is answered.
  void shut_down(int64_t now_ns);

  // --- Connections. Their ids are never used again.

  uint64_t open(int64_t now_ns);
  void receive(uint64_t connection, std::span<const std::byte> bytes, int64_t now_ns);
  void set_writable(uint64_t connection, bool writable, int64_t now_ns);

  // As HttpConnection::take_output; what the output brings about is acted on.
  void take_output(uint64_t connection, std::string& out, size_t about_bytes, int64_t now_ns);

  // The transport is gone: its request is cancelled.
  void close(uint64_t connection, int64_t now_ns);

  // Null if there is none of that id.
  HttpConnection* find(uint64_t connection);
  size_t connections() const { return connections_.size(); }

  // Takes the ids of the connections that may have something to send, or to say goodbye, since this was last called.
  void take_touched(std::vector<uint64_t>& connections);

  // --- Time and completions.

  void advance(int64_t now_ns);
  int64_t next_wake_ns() const { return wakes_.empty() ? kNever : wakes_.begin()->first; }

  // As Endpoint's.
  bool has_gathered() const { return queue_.has_gathered(); }
  void submit_gathered() { queue_.submit_gathered(); }
  void deliver(int64_t now_ns);
  void grant_waiting(int64_t now_ns);
  bool next_failure(HttpFailure& failure);

  // What is told of the requests that routes answered; nothing unless it is asked.
  Observation& observation() { return observation_; }

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

  // Whether no request is open and every answer has been taken as output.
  bool is_quiet() const;

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
  void deliver(InferCall& finished, int64_t now_ns);
  Entry* answered_by_handler(uint64_t connection);

  void touch(Entry& entry);
  void schedule(Entry& entry);

  const HttpLimits limits_;
  MemoryBudget budget_;  // before what reserves from it
  InferQueue queue_;

  InferRoutes routes_;
  std::optional<Refusal> refusal_;
  uint64_t last_connection_ = 0;
  size_t open_requests_ = 0;
  std::unordered_map<uint64_t, Entry> connections_;
  std::deque<HttpEvent> events_;
  std::deque<HttpFailure> failures_;
  Observation observation_;
  std::vector<uint64_t> touched_;
  std::set<std::pair<int64_t, uint64_t>> wakes_;  // when, and which connection: one entry for each at most

  // Reused, to allocate nothing a request.
  InferRequest request_;
  std::vector<std::unique_ptr<InferCall>> finished_;
};

}  // namespace npuserve::wire
