// The check that no answer has NaN or infinity in it, for models that ask for it: it stands between the engine and who
// sent the request.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/completion.h"
#include "core/signature.h"

namespace npuserve::engine {

// Any thread. Must outlive the completions that it has wrapped.
class FiniteCheck {
 public:
  // batched: whether axis 0 of the outputs is a row.
  FiniteCheck(std::string model, const core::Signature& signature, bool batched);

  // Has outputs that are not finite answered INTERNAL, with model, output and row; others go on to `completion`. Only
  // the request's own rows and lengths are looked at.
  std::unique_ptr<core::Completion> wrap(std::unique_ptr<core::Completion> completion);

  // Rows that were not finite; of a model without rows, requests.
  uint64_t nonfinite_rows() const { return nonfinite_rows_.load(std::memory_order_relaxed); }

 private:
  class Guard;

  core::Status check(std::span<const core::OutputView> outputs);

  const std::string model_;
  const core::Signature& signature_;
  const bool batched_;
  std::atomic<uint64_t> nonfinite_rows_ = 0;
};

// Whether every element of the view is a number. Types that hold nothing else are not looked at.
bool is_finite(const core::OutputView& view, core::Dtype dtype);

}  // namespace npuserve::engine
