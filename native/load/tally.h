// What one stretch of a run has counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "load/histogram.h"

namespace npuserve::load {

struct Failures {
  uint64_t count = 0;
  std::string example;  // the first message
};

struct Tally {
  // Of successful requests, by when they were answered. latency: from when the request was due, so that a server that
  // stalls is charged for all that it kept waiting. service: from when it was sent.
  Histogram latency;
  Histogram service;
  std::map<int, Failures> failures;  // by Outcome::code
  uint64_t sent = 0;
  uint64_t sent_bytes = 0;      // of prepared requests
  uint64_t received_bytes = 0;  // of answers
  int64_t behind_ns = 0;        // how late the next request of an open loop is, at the end of the stretch
};

}  // namespace npuserve::load
