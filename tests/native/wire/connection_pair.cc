#include "connection_pair.h"

#include <span>
#include <utility>

namespace npuserve::wire {

std::string describe(const Event& event, const Connection& connection) {
  const std::string call = std::to_string(event.stream_id);
  const CallHead* head = connection.head(event.stream_id);
  const auto bytes = event.message.bytes.bytes();
  switch (event.kind) {
    case EventKind::kCallStarted:
      return call + " started " + (head ? head->path : "");
    case EventKind::kMessageReceived:
      if (bytes.size() > 64) return call + " message of " + std::to_string(bytes.size());
      return call + " message " + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    case EventKind::kHalfClosed:
      return call + " half-closed";
    case EventKind::kCallCancelled:
      return call + " cancelled";
    case EventKind::kCallExpired:
      return call + " expired";
  }
  return {};
}

void ConnectionPair::note_events() {
  while (std::optional<Event> event = server->next_event()) {
    events_.push_back(describe(*event, *server));
    if (event->kind == EventKind::kMessageReceived) messages.push_back(std::move(event->message));
  }
}

void ConnectionPair::to_server() {
  const std::string bytes = client.take();
  if (!bytes.empty()) server->receive(std::as_bytes(std::span(bytes)), now_ns);
  note_events();
}

void ConnectionPair::to_client() {
  std::string bytes;
  server->take_output(bytes, SIZE_MAX, now_ns);
  client.receive(bytes);
  note_events();
}

void ConnectionPair::exchange() {
  do {
    to_server();
    to_client();
  } while (nghttp2_session_want_write(client.get()) != 0 || server->wants_write());
}

void ConnectionPair::advance(int64_t duration_ns) {
  now_ns += duration_ns;
  server->advance(now_ns);
  note_events();
}

void ConnectionPair::reply(int32_t stream_id, std::string_view message) {
  server->send_message(stream_id, frame_message(std::as_bytes(std::span(message)), Encoding::kIdentity, 0));
}

std::vector<std::string> ConnectionPair::take_events() { return std::exchange(events_, {}); }

}  // namespace npuserve::wire
