// What a channel answered, kept for the tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "load/channel.h"

namespace npuserve::load {

struct Answered {
  uint32_t ticket = 0;
  int code = 0;
  std::string message;
  std::string body;

  bool operator==(const Answered&) const = default;
};

class Answers final : public ChannelSink {
 public:
  void on_answer(uint32_t ticket, const Outcome& outcome, std::string_view body) override {
    all.push_back({ticket, outcome.code, std::string(outcome.message), std::string(body)});
  }

  std::vector<Answered> all;
};

// Everything that a channel has to send now.
inline std::string sent_by(Channel& channel) {
  std::string out;
  channel.send(out, SIZE_MAX);
  return out;
}

}  // namespace npuserve::load
