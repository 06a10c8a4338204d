// The answers of a batch, and the order in which those of a model go out.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/mutex.h"
#include "core/request.h"
#include "core/status.h"
#include "core/timing.h"

namespace npuserve::engine {

// What the requests of a batch are told: a status each, and the timing of all but for their arrivals.
struct Answers {
  std::vector<core::Request> requests;
  std::vector<core::Status> statuses;
  core::Timing timing;

  // Completes the requests, in their order.
  void send();
};

// Holds answers back until those of all batches before have been sent. Any thread.
class AnswerOrder {
 public:
  // batch: counts the model's batches from 1; each comes once. Sends what may be sent, unless another thread is at it:
  // that one then does.
  void send(uint64_t batch, Answers answers) EXCLUDES_LOCK(mutex_);

 private:
  core::Mutex mutex_;
  std::map<uint64_t, Answers> held_ GUARDED_BY(mutex_);
  uint64_t next_ GUARDED_BY(mutex_) = 1;
  bool sending_ GUARDED_BY(mutex_) = false;
};

}  // namespace npuserve::engine
