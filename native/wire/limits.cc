#include "wire/limits.h"

#include <array>
#include <string_view>

namespace npuserve::wire {
namespace {

constexpr int64_t kMost = kMostOfLimit;
constexpr int64_t kMost31 = kMost31OfLimit;

template <auto Member>
constexpr LimitField field(std::string_view name, int64_t least, int64_t most) {
  return limit_field<Limits, Member>(name, least, most);
}

constexpr std::array kFields{
    field<&Limits::max_message_bytes>("max_message_bytes", 1, kMost31),
    field<&Limits::memory_budget_bytes>("memory_budget_bytes", 1, kMost),
    field<&Limits::small_messages_bytes>("small_messages_bytes", 0, kMost),
    field<&Limits::max_waiting_calls>("max_waiting_calls", 0, kMost31),
    field<&Limits::max_header_list_bytes>("max_header_list_bytes", 1024, 16 << 20),
    field<&Limits::max_concurrent_streams>("max_concurrent_streams", 1, kMost31),
    field<&Limits::max_connections>("max_connections", 1, kMost31),
    field<&Limits::max_resets_per_second>("max_resets_per_second", 1, kMost31),
    field<&Limits::max_unsent_bytes>("max_unsent_bytes", 1, kMost31),
    field<&Limits::handshake_timeout_ns>("handshake_timeout_ns", 0, kMost),
    field<&Limits::slow_writer_timeout_ns>("slow_writer_timeout_ns", 0, kMost),
    field<&Limits::slow_reader_timeout_ns>("slow_reader_timeout_ns", 0, kMost),
    field<&Limits::keepalive_time_ns>("keepalive_time_ns", 0, kMost),
    field<&Limits::keepalive_timeout_ns>("keepalive_timeout_ns", 0, kMost),
    field<&Limits::keepalive_permit_without_calls>("keepalive_permit_without_calls", 0, 1),
    field<&Limits::max_pings_without_data>("max_pings_without_data", 0, kMost31),
    field<&Limits::min_recv_ping_interval_ns>("min_recv_ping_interval_ns", 0, kMost),
    field<&Limits::max_ping_strikes>("max_ping_strikes", 0, kMost31),
    field<&Limits::max_connection_idle_ns>("max_connection_idle_ns", 0, kMost),
    field<&Limits::max_connection_age_ns>("max_connection_age_ns", 0, kMost),
    field<&Limits::max_connection_age_grace_ns>("max_connection_age_grace_ns", 0, kMost),
};

}  // namespace

std::span<const LimitField> limit_fields() { return kFields; }

}  // namespace npuserve::wire
