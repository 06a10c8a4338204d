// The pings of a client that come too often, counted as gRPC servers count them (grpc proposal A8, and grpc-core's
// ping_abuse_policy): a ping sooner than the allowed interval after the last is a strike, one strike too many is abuse.
// Data or headers that we send forgive all strikes.
#pragma once

#include <cstdint>
#include <optional>

#include "wire/limits.h"

namespace npuserve::wire {

class PingStrikes {
 public:
  // The limits must outlive it.
  explicit PingStrikes(const Limits& limits) : limits_(limits) {}

  // A ping came; whether it is the one too many. idle: no call is open, and pings without calls are not permitted: then
  // the allowed interval is two hours.
  bool is_abuse(int64_t now_ns, bool idle);

  void forgive();

 private:
  const Limits& limits_;
  std::optional<int64_t> last_ns_;
  int strikes_ = 0;
};

}  // namespace npuserve::wire
