// All connections of one event loop, and the way of a ModelInfer from its bytes to a sink and back.
//
// One thread, the loop's: the shell calls in when bytes came, when time passed, when the outbox's eventfd is readable.
// After each of these it takes the events for its handlers and flushes the connections that were touched. What the
// endpoint can answer alone (a ModelInfer with a route) never leaves C++. The engine's threads meet the loop in the
// outbox and nowhere else.
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
#include "wire/connection.h"
#include "wire/infer_call.h"
#include "wire/infer_codec.h"
#include "wire/infer_queue.h"
#include "wire/infer_request.h"
#include "wire/infer_routes.h"
#include "wire/limits.h"
#include "wire/memory_budget.h"
#include "wire/observation.h"
#include "wire/shared_regions.h"

namespace npuserve::wire {

// A call's name among all calls of an endpoint: its connection's id above its stream's.
using Token = uint64_t;

constexpr Token make_token(uint64_t connection, int32_t stream_id) {
  return connection << 32 | static_cast<uint32_t>(stream_id);
}
constexpr uint64_t connection_of(Token token) { return token >> 32; }
constexpr int32_t stream_of(Token token) { return static_cast<int32_t>(token & 0xffff'ffff); }

// What happened to a call that handlers answer.
struct HandlerEvent {
  enum class Kind { kStarted, kChanged, kEnded };
  Kind kind = Kind::kStarted;
  Token token = 0;
};

// A request that a model accepted and failed to answer (INTERNAL), for the log.
struct Failure {
  std::string model;
  std::string message;
};

class Endpoint {
 public:
  // infer_path: whose calls take the routes. response_compression_level: 0, or 1 to 9 for that path's answers to
  // clients that accept compression. The destructor blocks until every submitted request has completed. Throws
  // std::system_error.
  Endpoint(const Limits& limits, std::string infer_path, int response_compression_level);

  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  const Limits& limits() const { return limits_; }
  const MemoryBudget& budget() const { return budget_; }
  int file_descriptor() const { return queue_.file_descriptor(); }

  // Replaces all routes. What was submitted goes on.
  void set_routes(const std::vector<Route>& routes) { routes_.replace(routes); }

  // What requests of the connections that may share memory refer to. The loop may change it at any time.
  void share_regions(std::shared_ptr<const SharedRegions> regions) { regions_ = std::move(regions); }

  // From now on answers every new call so and asks the clients to open no more.
  void refuse_new_calls(core::Status refusal);

  // Lets every connection finish once its calls are answered, new ones at once.
  void shut_down(int64_t now_ns);

  // --- Connections. Their ids are never used again.

  // may_share: whether its requests may refer to shared memory; those of others are handed on.
  uint64_t open(int64_t now_ns, bool may_share = false);
  void receive(uint64_t connection, std::span<const std::byte> bytes, int64_t now_ns);
  void set_writable(uint64_t connection, bool writable, int64_t now_ns);

  // As Connection::take_output; what the output brings about is acted on.
  void take_output(uint64_t connection, std::string& out, size_t about_bytes, int64_t now_ns);

  // The transport is gone: its calls are cancelled.
  void close(uint64_t connection, int64_t now_ns);

  // Null if there is none of that id.
  Connection* find(uint64_t connection);
  size_t connections() const { return connections_.size(); }

  // Takes the ids of the connections that may have something to send, or to say goodbye, since this was last called.
  void take_touched(std::vector<uint64_t>& connections);

  // --- Time and completions.

  void advance(int64_t now_ns);
  int64_t next_wake_ns() const { return wakes_.empty() ? kNever : wakes_.begin()->first; }

  // What was received goes to its sinks in one piece, so that they wake once for all that a round of the loop brought:
  // the shell calls this when it has read what there was to read.
  bool has_gathered() const { return queue_.has_gathered(); }
  void submit_gathered() { queue_.submit_gathered(); }

  // Answers the calls that the outbox holds.
  void deliver(int64_t now_ns);

  // Gives what was released of the budget to the calls that wait for it. The shell calls it last of all.
  void grant_waiting(int64_t now_ns);

  // Takes the oldest failure of deliver(). False if there is none.
  bool next_failure(Failure& failure);

  // What is told of the requests that routes answered; nothing unless it is asked.
  Observation& observation() { return observation_; }

  // --- Calls that handlers answer. Of a token that is gone there is no message and nothing is sent.

  // False if there is none.
  bool next_handler_event(HandlerEvent& event);
  const CallHead* head(Token token);
  bool half_closed(Token token) const;

  // The oldest message that was not popped; valid until then.
  const Buffer* front_message(Token token) const;
  void pop_message(Token token);

  void send(Token token, std::span<const std::byte> message, int64_t now_ns);
  void finish(Token token, const core::Status& status, const Metadata& trailing, int64_t now_ns);
  size_t unsent_bytes(Token token);

  // Calls that have no answer yet.
  size_t open_calls() const { return calls_.size(); }

  // Whether no call is open and every answer has been taken as output.
  bool is_quiet() const;

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    int64_t wake_ns = kNever;  // its entry in wakes_, if it has one
    bool may_share = false;
    bool touched = false;
  };
  // From its start to its answer. Infer: waits for its one message, then (gathered, then
  // submitted) for its completion. Handler: Python's.
  enum class Stage { kInferReceiving, kInferSubmitted, kHandler };
  struct Call {
    Stage stage = Stage::kHandler;
    bool half_closed = false;
    std::shared_ptr<const InferTarget> target{};  // kInferSubmitted
    std::vector<Message> messages{};              // kHandler: those before `taken` have been popped
    size_t taken = 0;
  };

  void settle(uint64_t id, Entry& entry, int64_t now_ns);
  bool handle_events(Connection& connection, int64_t now_ns);
  void handle(Connection& connection, Event event, int64_t now_ns);
  void start(Connection& connection, Token token);
  void receive_message(Connection& connection, Token token, Message message, int64_t now_ns);
  void half_close(Token token);
  void end(Token token);

  void infer(Connection& connection, Token token, Call& call, Message message, int64_t now_ns);
  void gather(Connection& connection, Token token, Call& call, Message message, InferPlan plan, int64_t now_ns);
  void hand_on(Token token, Call& call);
  const SharedRegions* regions_for(const Connection& connection) const;
  void answer(Connection& connection, Token token, const core::Status& status);
  void deliver(InferCall& finished, int64_t now_ns);
  Encoding response_encoding(const CallHead& head) const;

  void touch(uint64_t id, Entry& entry);
  void schedule(uint64_t id, Entry& entry);

  const Limits limits_;
  const std::string infer_path_;
  const int response_compression_level_;
  MemoryBudget budget_;  // before what reserves from it
  InferQueue queue_;

  InferRoutes routes_;
  std::shared_ptr<const SharedRegions> regions_;  // null: none
  std::optional<core::Status> refusal_;
  uint64_t last_connection_ = 0;
  std::unordered_map<uint64_t, Entry> connections_;
  std::unordered_map<Token, Call> calls_;
  std::deque<HandlerEvent> handler_events_;
  std::deque<Failure> failures_;
  Observation observation_;
  std::vector<uint64_t> touched_;
  std::set<std::pair<int64_t, uint64_t>> wakes_;  // when, and which connection: one entry for each at most

  // Reused, to allocate nothing a call.
  InferRequest request_;
  std::vector<std::unique_ptr<InferCall>> finished_;
};

}  // namespace npuserve::wire
