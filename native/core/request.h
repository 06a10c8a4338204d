// One ModelInfer as the engine sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/completion.h"
#include "core/tensor_view.h"

namespace npuserve::core {

struct Request {
  uint64_t token = 0;                   // the sender's name for it, unique among its pending requests
  std::vector<TensorView> inputs;       // in the signature's order; lent until the completion
  int64_t rows = 1;                     // dimension 0 of every input; 1 if the model does not batch
  int64_t arrival_ns = 0;               // steady_now_ns() when it entered the server
  uint64_t priority = 0;                // the client's `priority`; 0: none
  std::optional<int64_t> timeout_us{};  // the client's `timeout`
  int64_t deadline_ns = 0;              // steady_now_ns() from which on nobody waits for the answer; 0: none
  int64_t sent_length = 0;  // the inputs' length in memory, where their shapes were cut to less; 0: they were not
  std::unique_ptr<Completion> completion;
};

}  // namespace npuserve::core
