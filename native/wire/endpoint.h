// All gRPC connections of one event loop, and the way of a ModelInfer from its bytes to a sink and back. What the
// endpoint can answer alone (a ModelInfer with a route) never leaves C++.
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
#include "wire/limits.h"
#include "wire/loop_endpoint.h"
#include "wire/mirror.h"
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

class Endpoint final : public LoopEndpoint {
 public:
  // infer_path: whose calls take the routes. response_compression_level: 0, or 1 to 9 for that path's answers to
  // clients that accept compression. The destructor blocks until every submitted request has completed. Throws
  // std::system_error.
  Endpoint(const Limits& limits, std::string infer_path, int response_compression_level);

  const Limits& limits() const { return limits_; }

  // What requests of the connections that may share memory refer to. The loop may change it at any time.
  void share_regions(std::shared_ptr<const SharedRegions> regions) { regions_ = std::move(regions); }

  // Tells a shadow of calls that come from now on. Throws std::system_error, std::invalid_argument.
  void mirror(const MirrorOptions& options) { mirror_ = std::make_unique<Mirror>(options); }
  // Null if no shadow is told.
  Mirror* mirrored() { return mirror_.get(); }

  // From now on answers every new call so and asks the clients to open no more.
  void refuse_new_calls(core::Status refusal);

  // Lets every connection finish once its calls are answered, new ones at once.
  void shut_down(int64_t now_ns) override;

  // --- Connections. Their ids are never used again.

  // may_share: whether its requests may refer to shared memory; those of others are handed on.
  uint64_t open(int64_t now_ns, bool may_share = false);
  void receive(uint64_t connection, std::span<const std::byte> bytes, int64_t now_ns) override;
  void set_writable(uint64_t connection, bool writable, int64_t now_ns) override;

  // As Connection::take_output; what the output brings about is acted on.
  void take_output(uint64_t connection, std::string& out, size_t about_bytes, int64_t now_ns) override;

  // The transport is gone: its calls are cancelled.
  void close(uint64_t connection, int64_t now_ns) override;

  // Null if there is none of that id.
  Connection* find(uint64_t connection);
  size_t connections() const override { return connections_.size(); }

  void take_touched(std::vector<uint64_t>& connections) override;

  // --- Time.

  void advance(int64_t now_ns) override;
  int64_t next_wake_ns() const override { return wakes_.empty() ? kNever : wakes_.begin()->first; }
  void grant_waiting(int64_t now_ns) override;

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

  bool is_quiet() const override;

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
  // A ModelInfer of a handler's that a shadow is to be told of. message: the request, once the handler has taken it.
  struct MirroredCall {
    int64_t started_ns = 0;
    Message message;
  };
  struct Call {
    Stage stage = Stage::kHandler;
    bool half_closed = false;
    std::shared_ptr<const InferTarget> target{};  // kInferSubmitted
    std::vector<Message> messages{};              // kHandler: those before `taken` have been popped
    size_t taken = 0;
    std::unique_ptr<MirroredCall> mirrored{};
  };

  void settle(uint64_t id, Entry& entry, int64_t now_ns);
  bool handle_events(Connection& connection, int64_t now_ns);
  void handle(Connection& connection, Event event, int64_t now_ns);
  void start(Connection& connection, Token token);
  void receive_message(Connection& connection, Token token, Message message, int64_t now_ns);
  void half_close(Token token);
  void end(Token token);

  void infer(Connection& connection, Token token, Call& call, Message message, int64_t now_ns);
  void gather(Connection& connection, Token token, Call& call, Message message, InferPlan plan, bool mirrored,
              int64_t now_ns);
  void tell_shadow(const InferCall& finished, const core::Status& status, int64_t now_ns);
  void hand_on(Token token, Call& call);
  const SharedRegions* regions_for(const Connection& connection) const;
  void answer(Connection& connection, Token token, const core::Status& status);
  void answer(InferCall& finished, int64_t now_ns) override;
  Encoding response_encoding(const CallHead& head) const;

  void touch(uint64_t id, Entry& entry);
  void schedule(uint64_t id, Entry& entry);

  const Limits limits_;
  const std::string infer_path_;
  const int response_compression_level_;
  std::shared_ptr<const SharedRegions> regions_;  // null: none
  std::unique_ptr<Mirror> mirror_;                // null: no shadow
  std::optional<core::Status> refusal_;
  uint64_t last_connection_ = 0;
  std::unordered_map<uint64_t, Entry> connections_;
  std::unordered_map<Token, Call> calls_;
  std::deque<HandlerEvent> handler_events_;
  std::vector<uint64_t> touched_;
  std::set<std::pair<int64_t, uint64_t>> wakes_;  // when, and which connection: one entry for each at most
};

}  // namespace npuserve::wire
