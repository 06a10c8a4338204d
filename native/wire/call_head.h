// What a client says of a call before its first message.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/compression.h"

namespace npuserve::wire {

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

struct CallHead {
  std::string path;  // "/package.Service/Method"
  // Custom metadata in order of arrival, keys in lower case; values of "-bin" keys are decoded. Nothing of gRPC's or
  // HTTP's own but user-agent, as grpcio hands it to its servicers.
  std::vector<std::pair<std::string, std::string>> metadata;
  int64_t deadline_ns = kNever;  // as steady_now_ns() counts
  Encoding request_encoding = Encoding::kIdentity;
  bool accepts_gzip = false;
  bool accepts_deflate = false;
};

}  // namespace npuserve::wire
