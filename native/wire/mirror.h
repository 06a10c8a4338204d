// Which ModelInfer calls a shadow is told of, and the telling: a share of them, each copied once into the ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "core/mirror_ring.h"
#include "core/status.h"
#include "wire/infer_request.h"

namespace npuserve::wire {

enum class MirrorKind { kMirrored, kSequence, kDecoupled };

// By name; models that it does not have are let alone.
using MirroredModels = std::map<std::string, MirrorKind, std::less<>>;

struct MirrorOptions {
  int ring_file = -1;  // see core::MirrorMapping
  double share = 0;
  size_t most_bytes = SIZE_MAX;  // of a request and its answer together: copying them holds the loop
};

// One thread, the loop's.
class Mirror {
 public:
  // Throws std::system_error, std::invalid_argument.
  explicit Mirror(const MirrorOptions& options);

  void set_models(MirroredModels models) { models_ = std::move(models); }

  // Whether this request is one to be told of once it has its answer. Counts those of the share that cannot be.
  bool takes(const InferRequest& request);

  // The answer is a message without gRPC's prefix.
  void tell(std::span<const std::byte> request, std::span<const std::byte> answer, bool compressed, int64_t live_ns);
  void tell_failure(std::span<const std::byte> request, const core::Status& status, int64_t live_ns);

  // A call of ModelStreamInfer, none of whose requests is mirrored.
  void note_stream() { writer_.add(core::MirrorCount::kStream); }

  uint64_t count(core::MirrorCount which) const { return writer_.count(which); }

 private:
  bool chooses();
  void write(const core::MirrorRecord& record);

  core::MirrorWriter writer_;
  const uint64_t threshold_;
  const size_t most_bytes_;
  uint64_t random_ = 0x9e3779b97f4a7c15;
  MirroredModels models_;
};

}  // namespace npuserve::wire
