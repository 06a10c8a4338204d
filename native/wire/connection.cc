#include "wire/connection.h"

#include <utility>

#include "wire/connection_state.h"

namespace npuserve::wire {

Connection::Connection(uint64_t id, const Limits& limits, MemoryBudget& budget, int64_t now_ns)
    : state_(std::make_unique<State>(id, limits, budget, now_ns)) {}

Connection::~Connection() = default;

void Connection::receive(std::span<const std::byte> bytes, int64_t now_ns) { state_->receive(bytes, now_ns); }
void Connection::receive_end(int64_t now_ns) { state_->receive_end(now_ns); }
void Connection::advance(int64_t now_ns) { state_->advance(now_ns); }
void Connection::grant(int32_t stream_id, Reservation reservation, int64_t now_ns) {
  state_->grant(stream_id, std::move(reservation), now_ns);
}
int64_t Connection::next_wake_ns() const { return state_->next_wake_ns(); }
std::optional<Event> Connection::next_event() { return state_->next_event(); }

bool Connection::wants_write() const { return state_->wants_write(); }
void Connection::take_output(std::string& out, size_t about_bytes, int64_t now_ns) {
  state_->take_output(out, about_bytes, now_ns);
}
void Connection::set_writable(bool writable, int64_t now_ns) { state_->set_writable(writable, now_ns); }
bool Connection::finished() const { return state_->finished(); }
bool Connection::aborted() const { return state_->aborted(); }

const CallHead* Connection::head(int32_t stream_id) const { return state_->head(stream_id); }
void Connection::message_taken(int32_t stream_id) { state_->message_taken(stream_id); }
void Connection::send_message(int32_t stream_id, Buffer framed, Encoding encoding) {
  state_->send_message(stream_id, std::move(framed), encoding);
}
void Connection::finish(int32_t stream_id, const core::Status& status, const Metadata& trailing) {
  state_->finish(stream_id, status, trailing);
}
size_t Connection::unsent_bytes(int32_t stream_id) const { return state_->unsent_bytes(stream_id); }

void Connection::announce_shutdown() { state_->announce_shutdown(); }
void Connection::shut_down(int64_t now_ns) { state_->shut_down(now_ns); }
size_t Connection::open_calls() const { return state_->open_calls(); }
uint64_t Connection::id() const { return state_->id(); }

}  // namespace npuserve::wire
