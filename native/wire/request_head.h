// Collects a request's header fields into a CallHead, or the reason why the call is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/status.h"
#include "wire/call_head.h"

namespace npuserve::wire {

// An answer without a call. http_status: 200, or HTTP's word for what is not gRPC.
struct Refusal {
  int http_status = 200;
  core::Status status;
};

class RequestHead {
 public:
  // Throws std::bad_alloc. max_bytes: names, values and 32 bytes a field.
  void add(std::string_view name, std::string_view value, size_t max_bytes);

  // When all fields are there; now_ns: what the timeout counts from.
  std::optional<Refusal> finish(size_t max_bytes, int64_t now_ns);

  const CallHead& head() const { return head_; }

  // Ready for another request; keeps what it has allocated.
  void reset();

 private:
  void add_pseudo(std::string_view name, std::string_view value);
  bool add_known(std::string_view name, std::string_view value);
  void add_metadata(std::string_view name, std::string_view value);
  void refuse(core::StatusCode code, std::string message);
  void accept(std::string_view encodings);

  CallHead head_;
  size_t bytes_ = 0;
  int64_t timeout_ns_ = kNever;
  bool is_post_ = false;
  bool is_grpc_ = false;
  bool has_authority_ = false;
  std::optional<Refusal> refusal_;
};

}  // namespace npuserve::wire
