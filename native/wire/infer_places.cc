// Where the bytes of a tensor lie, as npuserve.service.parameters reads it.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "wire/infer_check.h"
#include "wire/shared_regions.h"

namespace npuserve::wire {
namespace {

constexpr std::string_view kRegion = "shared_memory_region";
constexpr std::string_view kOffset = "shared_memory_offset";
constexpr std::string_view kByteSize = "shared_memory_byte_size";

// What the handlers alone know.
constexpr std::array<std::string_view, 2> kHandlersKeys{"classification", "binary_data"};

struct Reference {
  std::optional<std::string_view> region;
  uint64_t offset = 0;
  uint64_t byte_size = 0;
};

// False for what the handlers have to look at. Numbers count as unsigned: a negative one is beyond every region.
bool read_parameter(const InferParameter& parameter, Reference& reference) {
  if (parameter.key == kRegion) {
    reference.region = parameter.string_value;
    return parameter.kind == ParameterKind::kString;
  }
  if (parameter.key == kOffset || parameter.key == kByteSize) {
    (parameter.key == kOffset ? reference.offset : reference.byte_size) = static_cast<uint64_t>(parameter.int64_value);
    return parameter.kind == ParameterKind::kInt64;
  }
  return std::ranges::find(kHandlersKeys, parameter.key) == kHandlersKeys.end();
}

bool is_reference_part(const InferParameter& parameter) {
  return parameter.key == kRegion || parameter.key == kOffset || parameter.key == kByteSize;
}

}  // namespace

Place find_place(const std::vector<InferParameter>& parameters, const SharedRegions* regions, InferPlan& plan,
                 std::span<std::byte>& shared) {
  if (parameters.empty()) return Place::kMessage;
  Reference reference;
  for (const InferParameter& parameter : parameters) {
    if (!read_parameter(parameter, reference)) return Place::kHandlersToSay;
  }
  if (!reference.region) {
    return std::ranges::any_of(parameters, is_reference_part) ? Place::kHandlersToSay : Place::kMessage;
  }
  std::shared_ptr<const SharedRegion> region = regions == nullptr ? nullptr : regions->find(*reference.region);
  if (region != nullptr) shared = region->part(reference.offset, reference.byte_size);
  if (shared.empty()) return Place::kHandlersToSay;
  plan.regions.push_back(std::move(region));
  return Place::kRegion;
}

}  // namespace npuserve::wire
