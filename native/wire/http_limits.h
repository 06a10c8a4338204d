// Every bound of HTTP, with its default. All durations are nanoseconds; 0 switches a time limit off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/limit_field.h"
#include "wire/limits.h"

namespace npuserve::wire {

struct HttpLimits {
  size_t max_request_line_bytes = size_t{8} * 1024;  // 414
  size_t max_head_bytes = size_t{32} * 1024;         // with the request line, and of a chunked body's trailers; 431
  size_t max_header_fields = 128;                    // 431
  // Of one body as it is sent; 413. The default is what gRPC lets a message have.
  size_t max_body_bytes = 2'147'483'647;
  size_t max_chunks = 65'536;  // of one body, the last, empty one not counted; 400, as in Triton
  // All larger bodies that are being received or answered, of all connections. A body reserves its length when its head
  // has come; one that finds no room waits, and nothing is read from its connection.
  size_t memory_budget_bytes = size_t{2} << 30;
  // The same for bodies of at most 64 KiB, which do not wait behind larger ones.
  size_t small_bodies_bytes = size_t{256} << 20;
  size_t max_waiting_requests = 4096;  // for the budget at once; 503
  size_t max_connections = 65'536;     // one more is closed
  // What may wait for a client that reads slowly: then its next request is not read, and a stream's next chunk waits.
  size_t max_unsent_bytes = size_t{1} << 20;

  int64_t head_timeout_ns = 20 * kSecond;         // from a head's first byte to its last; 408
  int64_t slow_writer_timeout_ns = 60 * kSecond;  // in which a begun body must grow by 64 KiB, or end; 408
  int64_t slow_reader_timeout_ns = 60 * kSecond;  // unsent bytes that nobody takes; the connection is aborted
  // Silence between requests. Long, as clients pool connections, and Triton never closes one.
  int64_t keepalive_timeout_ns = 3600 * kSecond;
  // Behind a refusal, or another last answer to a client that goes on sending: what still comes is read and dropped so
  // long, or else the answer could be lost (RFC 9112 section 9.6). It cannot be switched off.
  int64_t linger_timeout_ns = 2 * kSecond;
};

// The same by name.
using HttpLimitField = LimitFieldOf<HttpLimits>;

std::span<const HttpLimitField> http_limit_fields();

}  // namespace npuserve::wire
