// INT64 for INT32 and the other way round, without loss or not at all: what npuserve.service.conversion does.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/status.h"
#include "core/tensor_view.h"
#include "wire/buffer.h"
#include "wire/model_interface.h"

namespace npuserve::wire {

// Whether the one may stand for the other.
bool is_convertible(core::Dtype given, core::Dtype wanted);

// `from` holds elements of the other integer type than `to`. Returns why not, "value V at index I, which does not fit
// INT32"; none if every value fits. REQUIRES: room in `to` for as many elements.
std::optional<std::string> convert_integers(std::span<const std::byte> from, std::byte* to, core::Dtype to_dtype);

// What a sink gave, in the dtypes that the model's interface declares. The views that need no conversion, or that are
// not wanted, are the sink's own.
class DeclaredOutputs {
 public:
  // wanted: as in InferPlan. A value that does not fit is INTERNAL (`status`); the views are then of no use. `outputs`
  // must outlive this. Throws std::bad_alloc.
  DeclaredOutputs(const ModelInterface& model, const std::vector<bool>& wanted,
                  std::span<const core::OutputView> outputs);

  const core::Status& status() const { return status_; }
  std::span<const core::OutputView> views() const { return views_; }

 private:
  bool convert(const ModelInterface& model, const DeclaredTensor& declared, const core::OutputView& output);

  core::Status status_;
  std::span<const core::OutputView> views_;
  std::vector<core::OutputView> converted_;
  std::vector<Buffer> buffers_;
};

}  // namespace npuserve::wire
