#include "engine/answer_order.h"

#include <cstddef>
#include <utility>

namespace npuserve::engine {

void Answers::send() {
  for (size_t i = 0; i < requests.size(); ++i) {
    timing.arrival_ns = requests[i].arrival_ns;
    requests[i].completion->complete(std::move(statuses[i]), timing);
  }
}

// Completions are called without the mutex: they belong to others.
void AnswerOrder::send(uint64_t batch, Answers answers) {
  mutex_.lock();
  held_.emplace(batch, std::move(answers));
  if (!sending_) {
    sending_ = true;
    while (!held_.empty() && held_.begin()->first == next_) {
      auto due = held_.extract(held_.begin());
      mutex_.unlock();
      due.mapped().send();
      mutex_.lock();
      ++next_;
    }
    sending_ = false;
  }
  mutex_.unlock();
}

}  // namespace npuserve::engine
