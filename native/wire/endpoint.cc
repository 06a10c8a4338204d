#include "wire/endpoint.h"

#include <algorithm>
#include <utility>

#include "wire/framing.h"

namespace npuserve::wire {
namespace {

// What a client hears of bytes that are no ModelInferRequest, as from Triton.
const core::Status& unparsable() {
  static const core::Status status{core::StatusCode::kInternal, "Unable to parse request"};
  return status;
}

std::string trace_parent_of(const CallHead* head) {
  if (head == nullptr) return {};
  const auto found = std::ranges::find(head->metadata, "traceparent", &std::pair<std::string, std::string>::first);
  return found == head->metadata.end() ? std::string() : found->second;
}

}  // namespace

Endpoint::Endpoint(const Limits& limits, std::string infer_path, int response_compression_level)
    : LoopEndpoint(limits.memory_budget_bytes, limits.small_messages_bytes, limits.max_waiting_calls),
      limits_(limits),
      infer_path_(std::move(infer_path)),
      response_compression_level_(response_compression_level) {}

void Endpoint::refuse_new_calls(core::Status refusal) {
  refusal_ = std::move(refusal);
  for (auto& [id, entry] : connections_) {
    entry.connection->announce_shutdown();
    touch(id, entry);
  }
}

void Endpoint::shut_down(int64_t now_ns) {
  for (auto& [id, entry] : connections_) {
    entry.connection->shut_down(now_ns);
    settle(id, entry, now_ns);
  }
}

// --- Connections.

uint64_t Endpoint::open(int64_t now_ns, bool may_share) {
  const uint64_t id = ++last_connection_;
  auto connection = std::make_unique<Connection>(id, limits_, budget_, now_ns);
  Entry& entry = connections_[id];
  entry.connection = std::move(connection);
  entry.may_share = may_share;
  // Without GOAWAY though calls are refused: its client would only connect again, and never learn why.
  settle(id, entry, now_ns);
  return id;
}

void Endpoint::receive(uint64_t connection, std::span<const std::byte> bytes, int64_t now_ns) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  found->second.connection->receive(bytes, now_ns);
  settle(connection, found->second, now_ns);
}

void Endpoint::set_writable(uint64_t connection, bool writable, int64_t now_ns) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  found->second.connection->set_writable(writable, now_ns);
  settle(connection, found->second, now_ns);
}

void Endpoint::take_output(uint64_t connection, std::string& out, size_t about_bytes, int64_t now_ns) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  Entry& entry = found->second;
  entry.connection->take_output(out, about_bytes, now_ns);
  if (handle_events(*entry.connection, now_ns)) touch(connection, entry);
  schedule(connection, entry);
}

void Endpoint::close(uint64_t connection, int64_t now_ns) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  found->second.connection->receive_end(now_ns);
  settle(connection, found->second, now_ns);
  wakes_.erase({found->second.wake_ns, connection});
  connections_.erase(found);
}

Connection* Endpoint::find(uint64_t connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : found->second.connection.get();
}

void Endpoint::take_touched(std::vector<uint64_t>& connections) {
  connections.clear();
  connections.swap(touched_);
  for (const uint64_t id : connections) {
    if (const auto found = connections_.find(id); found != connections_.end()) found->second.touched = false;
  }
}

void Endpoint::touch(uint64_t id, Entry& entry) {
  if (entry.touched) return;
  entry.touched = true;
  touched_.push_back(id);
}

// --- Time and completions.

void Endpoint::advance(int64_t now_ns) {
  while (next_wake_ns() <= now_ns) {
    const uint64_t id = wakes_.begin()->second;
    wakes_.erase(wakes_.begin());
    Entry& entry = connections_.at(id);
    entry.wake_ns = kNever;
    entry.connection->advance(now_ns);
    settle(id, entry, now_ns);
  }
}

// A connection's earlier entry replaces its later one. One that comes up too early, as its reason is gone, costs an
// empty advance().
void Endpoint::schedule(uint64_t id, Entry& entry) {
  const int64_t wake_ns = entry.connection->next_wake_ns();
  if (wake_ns >= entry.wake_ns) return;
  wakes_.emplace(wake_ns, id);
  wakes_.erase({entry.wake_ns, id});
  entry.wake_ns = wake_ns;
}

void Endpoint::grant_waiting(int64_t now_ns) {
  if (budget_.waiting() == 0) return;
  for (auto& [waiter, reservation] : budget_.grant_waiting()) {
    const auto found = connections_.find(waiter.connection);
    if (found == connections_.end()) continue;
    found->second.connection->grant(waiter.stream_id, std::move(reservation), now_ns);
    settle(waiter.connection, found->second, now_ns);
  }
}

// After anything that a connection went through.
void Endpoint::settle(uint64_t id, Entry& entry, int64_t now_ns) {
  handle_events(*entry.connection, now_ns);
  schedule(id, entry);
  touch(id, entry);
}

// Whether there were any.
bool Endpoint::handle_events(Connection& connection, int64_t now_ns) {
  bool any = false;
  while (std::optional<Event> event = connection.next_event()) {
    handle(connection, std::move(*event), now_ns);
    any = true;
  }
  return any;
}

// --- Calls.

void Endpoint::handle(Connection& connection, Event event, int64_t now_ns) {
  const Token token = make_token(connection.id(), event.stream_id);
  switch (event.kind) {
    case EventKind::kCallStarted:
      return start(connection, token);
    case EventKind::kMessageReceived:
      return receive_message(connection, token, std::move(event.message), now_ns);
    case EventKind::kHalfClosed:
      return half_close(token);
    case EventKind::kCallCancelled:
    case EventKind::kCallExpired:
      return end(token);
  }
}

void Endpoint::start(Connection& connection, Token token) {
  if (refusal_) return connection.finish(stream_of(token), *refusal_);
  const CallHead* head = connection.head(stream_of(token));
  if (head == nullptr) return;
  Call& call = calls_[token];
  if (head->path == infer_path_) {
    call.stage = Stage::kInferReceiving;
  } else {
    if (mirror_ && head->path.ends_with("/ModelStreamInfer")) mirror_->note_stream();
    hand_on(token, call);
  }
}

// From here on the call is a handler's.
void Endpoint::hand_on(Token token, Call& call) {
  call.stage = Stage::kHandler;
  handler_events_.push_back({HandlerEvent::Kind::kStarted, token});
}

// As gRPC servers do, a unary call is answered upon its first message; others are let go.
void Endpoint::receive_message(Connection& connection, Token token, Message message, int64_t now_ns) {
  const auto found = calls_.find(token);
  if (found == calls_.end()) return;
  Call& call = found->second;
  if (call.stage == Stage::kInferReceiving) return infer(connection, token, call, std::move(message), now_ns);
  if (call.stage != Stage::kHandler) return;
  call.messages.push_back(std::move(message));
  handler_events_.push_back({HandlerEvent::Kind::kChanged, token});
}

void Endpoint::half_close(Token token) {
  const auto found = calls_.find(token);
  if (found == calls_.end()) return;
  Call& call = found->second;
  call.half_closed = true;
  if (call.stage == Stage::kHandler) handler_events_.push_back({HandlerEvent::Kind::kChanged, token});
  if (call.stage == Stage::kInferReceiving) hand_on(token, call);  // without a message: the handler's to say
}

// The call is over and nobody waits for its answer: what still waits for a slot is never executed.
void Endpoint::end(Token token) {
  const auto found = calls_.find(token);
  if (found == calls_.end()) return;
  if (found->second.stage == Stage::kInferSubmitted) {
    queue_.cancel(*found->second.target, token);
  }
  if (found->second.stage == Stage::kHandler) handler_events_.push_back({HandlerEvent::Kind::kEnded, token});
  calls_.erase(found);
}

// --- ModelInfer.

void Endpoint::infer(Connection& connection, Token token, Call& call, Message message, int64_t now_ns) {
  if (!parse(message.bytes.bytes(), request_)) return answer(connection, token, unparsable());
  const bool mirrored = mirror_ && mirror_->takes(request_);
  call.target = routes_.find(request_.model_name, request_.model_version);
  InferPlan plan;
  plan.verdict = Verdict::kHandOn;
  if (call.target) plan = check(request_, call.target->model, regions_for(connection));
  switch (plan.verdict) {
    case Verdict::kReady:
      return gather(connection, token, call, std::move(message), std::move(plan), mirrored, now_ns);
    case Verdict::kRefused:
      if (mirrored) mirror_->tell_failure(message.bytes.bytes(), plan.refusal, 0);
      if (observation_.wants(0)) {
        observation_.note_refusal(call.target->model, request_.id, plan.refusal, now_ns,
                                  trace_parent_of(connection.head(stream_of(token))));
      }
      return answer(connection, token, plan.refusal);
    case Verdict::kHandOn:
      if (mirrored) call.mirrored = std::make_unique<MirroredCall>(MirroredCall{now_ns, {}});
      call.messages.push_back(std::move(message));
      return hand_on(token, call);
  }
}

// Null if its requests may refer to none, or if there is none.
const SharedRegions* Endpoint::regions_for(const Connection& connection) const {
  if (regions_ == nullptr || regions_->empty()) return nullptr;
  const auto found = connections_.find(connection.id());
  return found != connections_.end() && found->second.may_share ? regions_.get() : nullptr;
}

void Endpoint::gather(Connection& connection, Token token, Call& call, Message message, InferPlan plan, bool mirrored,
                      int64_t now_ns) {
  std::unique_ptr<InferCall> submitted = make_call(token, call.target, std::move(message), plan, now_ns);
  const CallHead* head = connection.head(stream_of(token));
  if (head != nullptr) submitted->encoding = response_encoding(*head);
  if (head != nullptr && head->deadline_ns != kNever) submitted->deadline_ns = head->deadline_ns;
  if (observation_.is_asked()) submitted->trace_parent = trace_parent_of(head);
  submitted->compression_level = response_compression_level_;
  submitted->mirrored = mirrored;
  queue_.gather(std::move(submitted), std::move(plan), now_ns);
  call.stage = Stage::kInferSubmitted;
}

void Endpoint::answer(InferCall& finished, int64_t now_ns) {
  if (!calls_.contains(finished.token)) return;
  const uint64_t id = connection_of(finished.token);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second.connection;
  const core::Status status = observed(finished, now_ns);
  if (finished.mirrored) tell_shadow(finished, status, now_ns);
  if (finished.status.ok()) {
    connection.send_message(stream_of(finished.token), std::move(finished.response), finished.encoding);
  }
  answer(connection, finished.token, status);
  settle(id, found->second, now_ns);
}

void Endpoint::tell_shadow(const InferCall& finished, const core::Status& status, int64_t now_ns) {
  const std::span<const std::byte> request = finished.message.bytes.bytes();
  const int64_t live_ns = now_ns - finished.started_ns;
  if (!status.ok()) return mirror_->tell_failure(request, status, live_ns);
  const std::span<const std::byte> framed = finished.response.bytes();
  mirror_->tell(request, framed.subspan(kPrefixBytes), framed[0] != std::byte{0}, live_ns);
}

void Endpoint::answer(Connection& connection, Token token, const core::Status& status) {
  connection.finish(stream_of(token), status);
  calls_.erase(token);
}

Encoding Endpoint::response_encoding(const CallHead& head) const {
  if (response_compression_level_ == 0) return Encoding::kIdentity;
  if (head.accepts_gzip) return Encoding::kGzip;
  return head.accepts_deflate ? Encoding::kDeflate : Encoding::kIdentity;
}

// --- Calls that handlers answer.

bool Endpoint::next_handler_event(HandlerEvent& event) {
  if (handler_events_.empty()) return false;
  event = handler_events_.front();
  handler_events_.pop_front();
  return true;
}

const CallHead* Endpoint::head(Token token) {
  Connection* connection = find(connection_of(token));
  return connection == nullptr ? nullptr : connection->head(stream_of(token));
}

bool Endpoint::half_closed(Token token) const {
  const auto found = calls_.find(token);
  return found != calls_.end() && found->second.half_closed;
}

const Buffer* Endpoint::front_message(Token token) const {
  const auto found = calls_.find(token);
  if (found == calls_.end() || found->second.taken == found->second.messages.size()) return nullptr;
  return &found->second.messages[found->second.taken].bytes;
}

void Endpoint::pop_message(Token token) {
  const auto found = calls_.find(token);
  if (found == calls_.end() || found->second.taken == found->second.messages.size()) return;
  Call& call = found->second;
  Message popped = std::move(call.messages[call.taken++]);
  if (call.mirrored && call.mirrored->message.bytes.empty()) call.mirrored->message = std::move(popped);
  if (2 * call.taken >= call.messages.size()) {
    call.messages.erase(call.messages.begin(), call.messages.begin() + static_cast<std::ptrdiff_t>(call.taken));
    call.taken = 0;
  }
  const auto entry = connections_.find(connection_of(token));
  if (entry == connections_.end()) return;
  entry->second.connection->message_taken(stream_of(token));
  touch(entry->first, entry->second);
}

void Endpoint::send(Token token, std::span<const std::byte> message, int64_t now_ns) {
  const auto found = connections_.find(connection_of(token));
  const auto called = calls_.find(token);
  if (found == connections_.end() || called == calls_.end()) return;
  if (const auto mirrored = std::move(called->second.mirrored)) {
    mirror_->tell(mirrored->message.bytes.bytes(), message, false, now_ns - mirrored->started_ns);
  }
  Connection& connection = *found->second.connection;
  const CallHead* head = connection.head(stream_of(token));
  if (head == nullptr) return;
  const Encoding encoding = head->path == infer_path_ ? response_encoding(*head) : Encoding::kIdentity;
  connection.send_message(stream_of(token), frame_message(message, encoding, response_compression_level_), encoding);
  settle(found->first, found->second, now_ns);
}

void Endpoint::finish(Token token, const core::Status& status, const Metadata& trailing, int64_t now_ns) {
  const auto found = connections_.find(connection_of(token));
  const auto called = calls_.find(token);
  if (found == connections_.end() || called == calls_.end()) return;
  if (const auto mirrored = std::move(called->second.mirrored); mirrored && !status.ok()) {
    mirror_->tell_failure(mirrored->message.bytes.bytes(), status, now_ns - mirrored->started_ns);
  }
  calls_.erase(called);
  found->second.connection->finish(stream_of(token), status, trailing);
  settle(found->first, found->second, now_ns);
}

size_t Endpoint::unsent_bytes(Token token) {
  Connection* connection = find(connection_of(token));
  return connection == nullptr ? 0 : connection->unsent_bytes(stream_of(token));
}

bool Endpoint::is_quiet() const {
  if (!calls_.empty()) return false;
  return std::ranges::all_of(connections_,
                             [](const auto& entry) { return entry.second.connection->open_calls() == 0; });
}

}  // namespace npuserve::wire
