#include "wire/http_limits.h"

#include <array>
#include <string_view>

namespace npuserve::wire {
namespace {

constexpr int64_t kMost = kMostOfLimit;
constexpr int64_t kMost31 = kMost31OfLimit;

template <auto Member>
constexpr HttpLimitField field(std::string_view name, int64_t least, int64_t most) {
  return limit_field<HttpLimits, Member>(name, least, most);
}

constexpr std::array kFields{
    field<&HttpLimits::max_request_line_bytes>("max_request_line_bytes", 64, 1 << 20),
    field<&HttpLimits::max_head_bytes>("max_head_bytes", 256, 16 << 20),
    field<&HttpLimits::max_header_fields>("max_header_fields", 1, 65'536),
    field<&HttpLimits::max_body_bytes>("max_body_bytes", 0, kMost),
    field<&HttpLimits::max_chunks>("max_chunks", 1, kMost31),
    field<&HttpLimits::memory_budget_bytes>("memory_budget_bytes", 1, kMost),
    field<&HttpLimits::small_bodies_bytes>("small_bodies_bytes", 0, kMost),
    field<&HttpLimits::max_waiting_requests>("max_waiting_requests", 0, kMost31),
    field<&HttpLimits::max_connections>("max_connections", 1, kMost31),
    field<&HttpLimits::max_unsent_bytes>("max_unsent_bytes", 1, kMost31),
    field<&HttpLimits::head_timeout_ns>("head_timeout_ns", 0, kMost),
    field<&HttpLimits::slow_writer_timeout_ns>("slow_writer_timeout_ns", 0, kMost),
    field<&HttpLimits::slow_reader_timeout_ns>("slow_reader_timeout_ns", 0, kMost),
    field<&HttpLimits::keepalive_timeout_ns>("keepalive_timeout_ns", 0, kMost),
    field<&HttpLimits::linger_timeout_ns>("linger_timeout_ns", kMillisecond, kMost),
};

}  // namespace

std::span<const HttpLimitField> http_limit_fields() { return kFields; }

}  // namespace npuserve::wire
