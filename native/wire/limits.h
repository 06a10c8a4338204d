// Every bound of the wire, with its default. All durations are nanoseconds; 0 switches a time limit off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/limit_field.h"

namespace npuserve::wire {

inline constexpr int64_t kMillisecond = 1'000'000;
inline constexpr int64_t kSecond = 1'000 * kMillisecond;

// What a call may send unasked: its h2 stream's first window.
inline constexpr size_t kStreamWindowBytes = size_t{64} * 1024;

// What a message costs besides its bytes: the event, the buffer's own head, the call that waits for it.
inline constexpr size_t kMessageOverheadBytes = 256;

struct Limits {
  // One gRPC message, after decompression. The default is Triton's: what protobuf can hold.
  size_t max_message_bytes = 2'147'483'647;
  // All larger messages that are being received or executed, of all connections. A message reserves its length when its
  // prefix has come; one that finds no room waits with nothing but the initial window (64 KiB) granted.
  size_t memory_budget_bytes = size_t{2} << 30;
  // The same for messages that need no more than the initial window, which do not wait behind larger ones.
  size_t small_messages_bytes = size_t{256} << 20;
  // Calls that may wait for the budget at once; one more is refused RESOURCE_EXHAUSTED. They hold at most 64 KiB each.
  size_t max_waiting_calls = 4096;
  // Names, values and 32 bytes a field, as RFC 9113 section 6.5.2 counts. The default is grpc-core's.
  size_t max_header_list_bytes = size_t{16} * 1024;
  uint32_t max_concurrent_streams = 1024;  // a connection
  size_t max_connections = 65'536;
  uint32_t max_resets_per_second = 1000;  // RST_STREAM of a connection; more is ENHANCE_YOUR_CALM (rapid reset)
  // What may wait for a client that reads slowly: responses beyond it stay with their calls.
  size_t max_unsent_bytes = size_t{1} << 20;

  int64_t handshake_timeout_ns = 20 * kSecond;  // from the connection to the client's preface and SETTINGS
  // In which a begun message must grow by 64 KiB, or end; its call is DEADLINE_EXCEEDED.
  int64_t slow_writer_timeout_ns = 60 * kSecond;
  int64_t slow_reader_timeout_ns = 60 * kSecond;  // unsent bytes that nobody takes; the connection is aborted
  int64_t keepalive_time_ns = 7200 * kSecond;     // silence before we ping
  int64_t keepalive_timeout_ns = 20 * kSecond;    // for the answer
  bool keepalive_permit_without_calls = false;    // ping, and let ourselves be pinged, while no call is open
  int max_pings_without_data = 2;                 // ours, in a row; 0: no limit
  int64_t min_recv_ping_interval_ns = 300 * kSecond;
  int max_ping_strikes = 2;                 // pings that came too early, then ENHANCE_YOUR_CALM; 0: no limit
  int64_t max_connection_idle_ns = 0;       // without a call, then GOAWAY
  int64_t max_connection_age_ns = 0;        // then GOAWAY
  int64_t max_connection_age_grace_ns = 0;  // after it; 0: calls may take as long as they like
};

// The same by name.
using LimitField = LimitFieldOf<Limits>;

std::span<const LimitField> limit_fields();

}  // namespace npuserve::wire
