// A connection under test, with a client on the other end of a wire that loses nothing, and a clock that is set by
// hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client_session.h"
#include "wire/connection.h"
#include "wire/framing.h"
#include "wire/limits.h"
#include "wire/memory_budget.h"

namespace npuserve::wire {

// As text, so that whole histories compare: "1 started /a.B/C", "1 message hello", "1 half-closed", "1 cancelled".
std::string describe(const Event& event, const Connection& connection);

class ConnectionPair {
 public:
  explicit ConnectionPair(const Limits& limits = {}, std::vector<nghttp2_settings_entry> client_settings = {})
      : limits_(limits), budget(limits.memory_budget_bytes, limits.max_waiting_calls), client(client_settings) {
    server.emplace(kId, limits_, budget, now_ns);
  }

  // Carries bytes both ways until both are silent, and notes the events.
  void exchange();
  // What the client has to say only; the server's answers stay.
  void to_server();
  void to_client();

  // Lets time pass and the server act on it.
  void advance(int64_t duration_ns);

  void reply(int32_t stream_id, std::string_view message);

  // The events since this was last called.
  std::vector<std::string> take_events();

  static constexpr uint64_t kId = 7;

 private:
  void note_events();

  Limits limits_;

 public:
  MemoryBudget budget;
  int64_t now_ns = 1'000 * kSecond;
  ClientSession client;
  std::optional<Connection> server;
  std::vector<Message> messages;  // that came and were not dropped

 private:
  std::vector<std::string> events_;
};

}  // namespace npuserve::wire
