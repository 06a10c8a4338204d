// What the simulated server has for a scheduler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "devices.h"
#include "traffic.h"

namespace npuserve::simulation {

class Contestant {
 public:
  virtual ~Contestant() = default;

  // Whether the request is queued; if not it is refused.
  virtual bool arrive(const Request& request, int64_t now_ns) = 0;

  // The device is done with its oldest batch, which it has no longer.
  virtual void ended(size_t device, const Batch& batch, int64_t now_ns) = 0;

  // It is when wake_at_ns() said.
  virtual void wake(int64_t now_ns) = 0;
  virtual std::optional<int64_t> wake_at_ns() const = 0;
};

}  // namespace npuserve::simulation
