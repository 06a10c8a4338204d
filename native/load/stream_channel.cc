#include "load/stream_channel.h"

#include <algorithm>
#include <new>

#include "load/grpc_message.h"

namespace npuserve::load {

bool StreamChannel::has_room() const {
  if (!is_ready() || is_closing()) return false;
  return !idle_.empty() || calls_.size() < std::min(max_calls_, client_.max_calls());
}

void StreamChannel::begin(uint32_t ticket, std::string_view request) {
  if (idle_.empty()) {
    calls_.push_back(std::make_unique<Call>());
    idle_.reserve(calls_.capacity());
    idle_.push_back(calls_.back().get());
  }
  Call& call = *idle_.back();
  idle_.pop_back();
  call.ticket = ticket;
  call.is_waiting = true;
  call.unsent = request;
  if (call.is_open) {
    client_.resume(call);
    return;
  }
  call.sends_more = true;
  call.http_status = 0;
  call.grpc_status = -1;
  call.message.clear();
  call.received.clear();
  call.is_open = client_.open(call);
  // It cannot be refused while there is room.
  if (!call.is_open) throw std::bad_alloc();
}

void StreamChannel::on_data(H2Call& call) {
  auto& of = static_cast<Call&>(call);
  size_t read = 0;
  for (;;) {
    const std::string_view rest = std::string_view(of.received).substr(read);
    const size_t bytes = message_bytes(rest);
    if (bytes == 0 || bytes > rest.size()) break;
    answer(of, rest.substr(kPrefixBytes, bytes - kPrefixBytes));
    read += bytes;
  }
  of.received.erase(0, read);
}

void StreamChannel::answer(Call& call, std::string_view message) {
  // An answer more than requests: nothing that is measured here.
  if (!call.is_waiting) return;
  call.is_waiting = false;
  const std::string_view error = stream_error(message);
  // The protocol carries an error's text in a stream, but not its status.
  constexpr int kUnknown = 2;
  if (error.empty()) {
    sink_.on_answer(call.ticket, {}, stream_answer(message));
  } else {
    sink_.on_answer(call.ticket, {.code = kUnknown, .message = error}, {});
  }
  idle_.push_back(&call);
}

void StreamChannel::on_closed(H2Call& call, uint32_t code) {
  auto& of = static_cast<Call&>(call);
  of.is_open = false;
  if (!of.is_waiting) return;
  of.is_waiting = false;
  std::string text;
  Outcome outcome = outcome_of(of, code, text);
  if (outcome.code == 0) outcome = {.code = kBadAnswer, .message = "the server ended the stream without an answer"};
  sink_.on_answer(of.ticket, outcome, {});
  idle_.push_back(&of);
}

}  // namespace npuserve::load
