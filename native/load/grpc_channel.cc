#include "load/grpc_channel.h"

#include <new>

#include "load/grpc_message.h"

namespace npuserve::load {

bool GrpcChannel::has_room() const {
  return is_ready() && !is_closing() && calls_.size() - idle_.size() < client_.max_calls();
}

void GrpcChannel::begin(uint32_t ticket, std::string_view request) {
  if (idle_.empty()) {
    calls_.push_back(std::make_unique<Call>());
    idle_.reserve(calls_.capacity());
    idle_.push_back(calls_.back().get());
  }
  Call& call = *idle_.back();
  idle_.pop_back();
  call.ticket = ticket;
  call.unsent = request;
  call.http_status = 0;
  call.grpc_status = -1;
  call.message.clear();
  call.received.clear();
  // It cannot be refused while there is room.
  if (!client_.open(call)) throw std::bad_alloc();
}

void GrpcChannel::on_closed(H2Call& call, uint32_t code) {
  auto& of = static_cast<Call&>(call);
  std::string unread;
  const Outcome outcome = outcome_of(of, code, unread);
  const std::string_view received = of.received;
  if (outcome.code != 0) {
    sink_.on_answer(of.ticket, outcome, {});
  } else if (received.empty() || message_bytes(received) != received.size()) {
    sink_.on_answer(of.ticket, {.code = kBadAnswer, .message = "the answer is not one message"}, {});
  } else {
    sink_.on_answer(of.ticket, {}, received.substr(kPrefixBytes));
  }
  idle_.push_back(&of);
}

}  // namespace npuserve::load
