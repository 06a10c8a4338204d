#include "wire/http_endpoint.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "wire/http_infer_request.h"
#include "wire/http_infer_response.h"

namespace npuserve::wire {
namespace {

// Keeps a connection's requests apart from those of the gRPC endpoint, whose tokens have this bit clear, in the sinks
// that both submit to.
constexpr uint64_t kHttpBit = uint64_t{1} << 63U;

Buffer buffer_of(std::span<const std::byte> bytes) {
  Buffer buffer(bytes.size());
  buffer.resize(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

void respond_with_error(HttpConnection& connection, int status, std::string_view message, int64_t now_ns) {
  const std::string body = error_body(message);
  const std::array<HttpFieldText, 1> fields{{{"Content-Type", "application/json"}}};
  connection.respond(status, fields, buffer_of(std::as_bytes(std::span(body))), now_ns);
}

core::Status encode_http(InferCall& call, std::span<const core::OutputView> outputs) {
  HttpInferBody body = encode_http_response(call.target->model, call.id, call.wanted, outputs);
  call.response = std::move(body.bytes);
  call.json_bytes = body.json_bytes;
  return {};
}

}  // namespace

HttpEndpoint::HttpEndpoint(const HttpLimits& limits)
    : LoopEndpoint(limits.memory_budget_bytes, limits.small_bodies_bytes, limits.max_waiting_requests),
      limits_(limits) {}

void HttpEndpoint::refuse_new_requests(int status, std::string message, int64_t now_ns) {
  refusal_ = Refusal{status, std::move(message)};
  shut_down(now_ns);
}

void HttpEndpoint::shut_down(int64_t now_ns) {
  for (auto& [id, entry] : connections_) {
    entry.connection->shut_down(now_ns);
    settle(entry, now_ns);
  }
}

// --- Connections.

uint64_t HttpEndpoint::open(int64_t now_ns) {
  const uint64_t id = ++last_connection_;
  auto connection = std::make_unique<HttpConnection>(id, limits_, budget_, now_ns);
  Entry& entry = connections_[id];
  entry.connection = std::move(connection);
  schedule(entry);
  return id;
}

void HttpEndpoint::receive(uint64_t connection, std::span<const std::byte> bytes, int64_t now_ns) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  found->second.connection->receive(bytes, now_ns);
  settle(found->second, now_ns);
}

void HttpEndpoint::set_writable(uint64_t connection, bool writable, int64_t now_ns) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  found->second.connection->set_writable(writable, now_ns);
  settle(found->second, now_ns);
}

void HttpEndpoint::take_output(uint64_t connection, std::string& out, size_t about_bytes, int64_t now_ns) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  found->second.connection->take_output(out, about_bytes, now_ns);
  settle(found->second, now_ns);
}

void HttpEndpoint::close(uint64_t connection, int64_t) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  Entry& entry = found->second;
  if (entry.stage == Stage::kSubmitted) queue_.cancel(*entry.target, kHttpBit | connection);
  if (entry.stage == Stage::kHandler) events_.push_back({HttpEvent::Kind::kEnded, connection});
  if (entry.stage != Stage::kNone) --open_requests_;
  wakes_.erase({entry.wake_ns, connection});
  connections_.erase(found);
}

HttpConnection* HttpEndpoint::find(uint64_t connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() ? nullptr : found->second.connection.get();
}

void HttpEndpoint::take_touched(std::vector<uint64_t>& connections) {
  connections.clear();
  connections.swap(touched_);
  for (const uint64_t id : connections) {
    if (const auto found = connections_.find(id); found != connections_.end()) found->second.touched = false;
  }
}

void HttpEndpoint::touch(Entry& entry) {
  if (entry.touched) return;
  entry.touched = true;
  touched_.push_back(entry.connection->id());
}

// After anything that a connection went through.
void HttpEndpoint::settle(Entry& entry, int64_t now_ns) {
  const HttpConnection& connection = *entry.connection;
  // An answer that is given at once lets the next request of a pipeline be read.
  while (entry.stage == Stage::kNone && connection.has_request()) start(entry, now_ns);
  schedule(entry);
  if (connection.wants_write() || connection.finished() || connection.aborted() || !connection.wants_read()) {
    touch(entry);
  }
}

// --- Time and completions.

// A connection's earlier entry replaces its later one. One that comes up too early, as its reason is gone, costs an
// empty advance().
void HttpEndpoint::schedule(Entry& entry) {
  const int64_t wake_ns = entry.connection->next_wake_ns();
  if (wake_ns >= entry.wake_ns) return;
  const uint64_t id = entry.connection->id();
  wakes_.emplace(wake_ns, id);
  wakes_.erase({entry.wake_ns, id});
  entry.wake_ns = wake_ns;
}

void HttpEndpoint::advance(int64_t now_ns) {
  while (next_wake_ns() <= now_ns) {
    const uint64_t id = wakes_.begin()->second;
    wakes_.erase(wakes_.begin());
    Entry& entry = connections_.at(id);
    entry.wake_ns = kNever;
    entry.connection->advance(now_ns);
    settle(entry, now_ns);
  }
}

void HttpEndpoint::grant_waiting(int64_t now_ns) {
  if (budget_.waiting() == 0) return;
  for (auto& [waiter, room] : budget_.grant_waiting()) {
    const auto found = connections_.find(waiter.connection);
    if (found == connections_.end()) continue;
    found->second.connection->grant(std::move(room), now_ns);
    settle(found->second, now_ns);
    touch(found->second);  // it may be read again
  }
}

// --- Requests.

void HttpEndpoint::start(Entry& entry, int64_t now_ns) {
  HttpConnection& connection = *entry.connection;
  if (refusal_) {
    connection.shut_down(now_ns);
    return respond_with_error(connection, refusal_->status, refusal_->message, now_ns);
  }
  ++open_requests_;
  if (infer(entry, now_ns)) return;
  entry.stage = Stage::kHandler;
  events_.push_back({HttpEvent::Kind::kStarted, connection.id()});
}

// False if the request is the handlers': they also know why one cannot be had.
bool HttpEndpoint::infer(Entry& entry, int64_t now_ns) {
  HttpConnection& connection = *entry.connection;
  if (!read_infer(connection.head(), connection.body().bytes(), request_)) return false;
  std::shared_ptr<const InferTarget> target = routes_.find(request_.model_name, request_.model_version);
  if (!target) return false;
  InferPlan plan = check(request_, target->model);
  if (plan.verdict != Verdict::kReady) return false;
  auto call = make_call(kHttpBit | connection.id(), target, connection.take_body(), plan, now_ns);
  call->encode = encode_http;
  if (observation_.is_asked()) call->trace_parent = connection.head().find("traceparent").value_or("");
  entry.stage = Stage::kSubmitted;
  entry.target = std::move(target);
  queue_.gather(std::move(call), std::move(plan), now_ns);
  return true;
}

void HttpEndpoint::answer(InferCall& finished, int64_t now_ns) {
  const auto found = connections_.find(finished.token & ~kHttpBit);
  if (found == connections_.end()) return;
  Entry& entry = found->second;
  finish(entry);
  const core::Status status = observed(finished, now_ns);
  if (status.ok()) {
    const std::array<HttpFieldText, 2> fields{
        {{"Content-Type", "application/octet-stream"},
         {"Inference-Header-Content-Length", std::to_string(finished.json_bytes)}}};
    entry.connection->respond(200, fields, std::move(finished.response), now_ns);
  } else {
    respond_with_error(*entry.connection, http_status(status.code()), status.message(), now_ns);
  }
  settle(entry, now_ns);
}

// The request has its answer, or is about to.
void HttpEndpoint::finish(Entry& entry) {
  entry.stage = Stage::kNone;
  entry.target.reset();
  --open_requests_;
}

bool HttpEndpoint::is_quiet() const {
  return open_requests_ == 0 &&
         std::ranges::none_of(connections_, [](const auto& entry) { return entry.second.connection->wants_write(); });
}

// --- Requests that handlers answer.

bool HttpEndpoint::next_event(HttpEvent& event) {
  if (events_.empty()) return false;
  event = events_.front();
  events_.pop_front();
  return true;
}

HttpEndpoint::Entry* HttpEndpoint::answered_by_handler(uint64_t connection) {
  const auto found = connections_.find(connection);
  return found == connections_.end() || found->second.stage != Stage::kHandler ? nullptr : &found->second;
}

void HttpEndpoint::respond(uint64_t connection, int status, const std::vector<HttpFieldText>& fields,
                           std::span<const std::byte> body, int64_t now_ns) {
  Entry* const entry = answered_by_handler(connection);
  if (entry == nullptr || !entry->connection->has_request()) return;
  finish(*entry);
  entry->connection->respond(status, fields, buffer_of(body), now_ns);
  settle(*entry, now_ns);
}

void HttpEndpoint::start_stream(uint64_t connection, int status, const std::vector<HttpFieldText>& fields,
                                int64_t now_ns) {
  Entry* const entry = answered_by_handler(connection);
  if (entry == nullptr || !entry->connection->has_request()) return;
  entry->connection->start_stream(status, fields);
  settle(*entry, now_ns);
}

void HttpEndpoint::send(uint64_t connection, std::span<const std::byte> piece, int64_t now_ns) {
  Entry* const entry = answered_by_handler(connection);
  if (entry == nullptr) return;
  entry->connection->send(piece);
  settle(*entry, now_ns);
}

void HttpEndpoint::end_stream(uint64_t connection, int64_t now_ns) {
  Entry* const entry = answered_by_handler(connection);
  if (entry == nullptr || entry->connection->has_request()) return;
  finish(*entry);
  entry->connection->end_stream(now_ns);
  settle(*entry, now_ns);
}

}  // namespace npuserve::wire
