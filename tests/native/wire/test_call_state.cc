#include <doctest/doctest.h>

#include <array>

#include "wire/call_state.h"

namespace npuserve::wire {

using enum ClientSide;

namespace {

constexpr std::array kClientInputs{ClientInput::kHead, ClientInput::kBytes, ClientInput::kEnd, ClientInput::kStop,
                                   ClientInput::kReset};

std::array<ClientSide, 5> row(ClientSide from) {
  std::array<ClientSide, 5> to{};
  for (size_t i = 0; i < to.size(); ++i) to[i] = next_state(from, kClientInputs[i]);
  return to;
}

}  // namespace

TEST_CASE("the client's side goes from its head over messages to half-closed, and nowhere else") {
  CHECK(row(kHead) == std::array{kMessages, kInvalid, kInvalid, kDiscarding, kReset});
  CHECK(row(kMessages) == std::array{kInvalid, kMessages, kHalfClosed, kDiscarding, kReset});
  CHECK(row(kHalfClosed) == std::array{kInvalid, kInvalid, kInvalid, kHalfClosed, kReset});
}

TEST_CASE("what a client sends after it was stopped is passed over until its end") {
  CHECK(row(kDiscarding) == std::array{kDiscarding, kDiscarding, kHalfClosed, kDiscarding, kReset});
}

TEST_CASE("nothing follows a reset, and nothing comes of what is invalid") {
  CHECK(row(kReset) == std::array{kInvalid, kInvalid, kInvalid, kInvalid, kReset});
  CHECK(row(kInvalid) == std::array{kInvalid, kInvalid, kInvalid, kInvalid, kInvalid});
}

TEST_CASE("our side sends messages, then one status") {
  CHECK(next_state(ServerSide::kSilent, ServerInput::kMessage) == ServerSide::kMessages);
  CHECK(next_state(ServerSide::kSilent, ServerInput::kStatus) == ServerSide::kFinished);
  CHECK(next_state(ServerSide::kMessages, ServerInput::kMessage) == ServerSide::kMessages);
  CHECK(next_state(ServerSide::kMessages, ServerInput::kStatus) == ServerSide::kFinished);
  CHECK(next_state(ServerSide::kFinished, ServerInput::kMessage) == ServerSide::kInvalid);
  CHECK(next_state(ServerSide::kFinished, ServerInput::kStatus) == ServerSide::kInvalid);
}

}  // namespace npuserve::wire
