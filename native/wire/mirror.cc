#include "wire/mirror.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "core/clock.h"

namespace npuserve::wire {
namespace {

using core::MirrorCount;

uint64_t threshold_of(double share) {
  if (share >= 1) return UINT64_MAX;
  return static_cast<uint64_t>(std::ldexp(std::max(share, 0.0), 64));
}

bool has(const std::vector<InferParameter>& parameters, std::string_view key) {
  return std::ranges::find(parameters, key, &InferParameter::key) != parameters.end();
}

bool uses_shared_memory(const InferRequest& request) {
  const auto uses = [](const auto& tensor) { return has(tensor.parameters, "shared_memory_region"); };
  return std::ranges::any_of(request.inputs, uses) || std::ranges::any_of(request.outputs, uses);
}

// Of load and of clients, not of the model.
bool says_nothing(core::StatusCode code) {
  return code == core::StatusCode::kCancelled || code == core::StatusCode::kDeadlineExceeded ||
         code == core::StatusCode::kResourceExhausted || code == core::StatusCode::kUnavailable;
}

}  // namespace

Mirror::Mirror(const MirrorOptions& options)
    : writer_(options.ring_file), threshold_(threshold_of(options.share)), most_bytes_(options.most_bytes) {}

// xorshift64: by chance, since every tenth request may be of one client.
bool Mirror::chooses() {
  random_ ^= random_ << 13U;
  random_ ^= random_ >> 7U;
  random_ ^= random_ << 17U;
  return random_ <= threshold_;
}

bool Mirror::takes(const InferRequest& request) {
  writer_.add(MirrorCount::kSeen);
  if (!chooses()) return false;
  const auto found = models_.find(request.model_name);
  if (found == models_.end()) return false;
  if (found->second == MirrorKind::kSequence || has(request.parameters, "sequence_id")) {
    writer_.add(MirrorCount::kSequence);
    return false;
  }
  if (found->second == MirrorKind::kDecoupled) {
    writer_.add(MirrorCount::kDecoupled);
    return false;
  }
  if (uses_shared_memory(request)) {
    writer_.add(MirrorCount::kSharedMemory);
    return false;
  }
  return true;
}

void Mirror::tell(std::span<const std::byte> request, std::span<const std::byte> answer, bool compressed,
                  int64_t live_ns) {
  write({.request = request, .answer = answer, .live_ns = live_ns, .status = 0, .compressed = compressed});
}

void Mirror::tell_failure(std::span<const std::byte> request, const core::Status& status, int64_t live_ns) {
  if (says_nothing(status.code())) return writer_.add(MirrorCount::kUnanswered);
  write({.request = request,
         .answer = std::as_bytes(std::span(status.message())),
         .live_ns = live_ns,
         .status = static_cast<int32_t>(status.code()),
         .compressed = false});
}

void Mirror::write(const core::MirrorRecord& record) {
  if (record.request.size() + record.answer.size() > most_bytes_) return writer_.add(MirrorCount::kTooLarge);
  const int64_t started_ns = core::steady_now_ns();
  writer_.write(record);
  const auto taken_ns = static_cast<uint64_t>(core::steady_now_ns() - started_ns);
  writer_.add(MirrorCount::kWriteNs, taken_ns);
  writer_.raise_to(MirrorCount::kMostWriteNs, taken_ns);
}

}  // namespace npuserve::wire
