// What a model's config says of its queue, its batches and its tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "batching/scheduler_core.h"
#include "engine/layout.h"
#include "engine/turns.h"

namespace npuserve::engine {

struct ModelOptions {
  std::string name;  // as refusals state it
  batching::SchedulerOptions scheduling;
  bool has_levels = false;     // whether requests may choose among scheduling.levels; if not, they do so in vain
  std::vector<int> devices{};  // of each instance; empty: all on one
  // Per output, the axes of its full shape that follow a request's own length.
  std::vector<std::vector<int64_t>> variable_output_axes{};
  PaddingOptions padding{};
  bool preserve_ordering = false;  // whether answers go out in the order in which batches were made
  // What the instances take turns by with those of other models, a seat an instance; null: they take none.
  std::shared_ptr<Turns> turns{};
  std::vector<batching::SeatOptions> seats{};
  bool check_finite = false;      // whether answers with NaN or infinity in them are failures
  bool record_statistics = true;  // false: all counters stay zero, so that what counting costs can be measured
};

// The options as they are. Throws std::invalid_argument if they contradict themselves.
ModelOptions checked(ModelOptions options);

// Whether requests can time out in the queue.
bool times_out(const ModelOptions& options);

}  // namespace npuserve::engine
