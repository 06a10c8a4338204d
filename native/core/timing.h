// When the stages of a request happened: the C++ side of npuserve.core.timing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace npuserve::core {

// The execution that a request went through, and its instants as steady_now_ns() counts, in order.
struct Timing {
  uint64_t batch_id = 0;       // counts the model's executions from 1; 0: the request went through none
  size_t gear = 0;             // its number in the signature
  int64_t batch_rows = 0;      // of all the requests that shared it
  int64_t arrival_ns = 0;      // the request entered the server
  int64_t start_ns = 0;        // its batch was closed
  int64_t gathered_ns = 0;     // its inputs lay in the slot
  int64_t h2d_end_ns = 0;      // they were on the device; 0 where the device does not tell
  int64_t execute_end_ns = 0;  // the model had run; 0 where the device does not tell
  int64_t d2h_end_ns = 0;      // the outputs were on the host
  int64_t scattered_ns = 0;    // they were with the requests
};

}  // namespace npuserve::core
