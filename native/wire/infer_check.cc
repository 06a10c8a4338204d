#include "wire/infer_check.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/dtype.h"
#include "wire/infer_contents.h"

namespace npuserve::wire {
namespace {

using core::Dtype;

std::string quoted(std::string_view text) { return std::string("'").append(text).append("'"); }

template <typename Named>
const Named* first_repeated(const std::vector<Named>& tensors) {
  for (size_t i = 1; i < tensors.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (tensors[i].name == tensors[j].name) return &tensors[i];
    }
  }
  return nullptr;
}

template <typename Named>
bool check_unique(const InferRequest& request, std::string_view kind, const std::vector<Named>& tensors,
                  InferPlan& plan) {
  const Named* const repeated = first_repeated(tensors);
  return repeated == nullptr || refuse(plan, id_prefix(request.id) + std::string(kind) + " " + quoted(repeated->name) +
                                                 " already exists in request");
}

// FP32 values of a dtype without a field of its own, which the handlers round.
bool is_rounded(uint32_t field, std::optional<Dtype> dtype) {
  return typical_dtype(field) == Dtype::kFp32 && (dtype == Dtype::kFp16 || dtype == Dtype::kBf16);
}

// Appends an input's typed contents in raw form to plan.converted; empty contents give no bytes.
bool convert(const InferInput& input, const std::string& of, InferPlan& plan) {
  const std::optional<Dtype> dtype = core::dtype_from_name(input.datatype);
  const std::string unexpected = "unexpected explicit tensor data for input tensor " + of;
  uint32_t found = 0;
  for (uint32_t field = 1; field <= kContentsFields; ++field) {
    if (input.contents.counts[field] == 0) continue;
    if (is_rounded(field, dtype)) return hand_on(plan);
    if (found != 0) return refuse(plan, unexpected + ", binary data was already supplied.");
    if (!dtype || !carries(field, *dtype)) {
      return refuse(plan, unexpected + " of type " + quoted(core::dtype_name(typical_dtype(field))) +
                              ", expected datatype " + quoted(dtype ? core::dtype_name(*dtype) : "<invalid>"));
    }
    found = field;
  }
  plan.converted.push_back(dtype && found != 0 ? raw_contents(input.contents, found, *dtype) : Buffer(0));
  return true;
}

// The handlers copy BYTES: lengths that were checked must not change any more.
bool take_shared(const InferRequest& request, size_t index, std::span<const std::byte> shared, InferPlan& plan) {
  const InferInput& input = request.inputs[index];
  if (input.has_contents || input.datatype == core::dtype_name(Dtype::kBytes)) return hand_on(plan);
  plan.shared_inputs.resize(request.inputs.size());
  plan.shared_inputs[index] = shared;
  return true;
}

// taken: how many inputs before this one lie in the message.
bool take_sent(const InferRequest& request, size_t index, size_t taken, InferPlan& plan) {
  const InferInput& input = request.inputs[index];
  const bool raw = !request.raw_input_contents.empty();
  if (!input.has_contents && taken < request.raw_input_contents.size()) return true;
  const std::string of = quoted(input.name) + " for model " + quoted(request.model_name);
  if (!input.has_contents) return refuse(plan, "unable to find data for input tensor " + of + " in request.");
  if (raw) return refuse(plan, "contents field must not be specified when using raw_input_contents for " + of);
  return convert(input, of, plan);
}

}  // namespace

bool refuse(InferPlan& plan, std::string message) {
  plan.verdict = Verdict::kRefused;
  plan.refusal = core::Status(core::StatusCode::kInvalidArgument, std::move(message));
  return false;
}

bool hand_on(InferPlan& plan) {
  plan.verdict = Verdict::kHandOn;
  return false;
}

bool check_unique_names(const InferRequest& request, InferPlan& plan) {
  return check_unique(request, "input", request.inputs, plan) && check_unique(request, "output", request.outputs, plan);
}

bool take_contents(const InferRequest& request, const SharedRegions* regions, InferPlan& plan) {
  size_t taken = 0;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    std::span<std::byte> shared;
    const Place place = find_place(request.inputs[i].parameters, regions, plan, shared);
    if (place == Place::kHandlersToSay) return hand_on(plan);
    if (place == Place::kRegion ? !take_shared(request, i, shared, plan) : !take_sent(request, i, taken++, plan)) {
      return false;
    }
  }
  return true;
}

bool check_outputs(const InferRequest& request, const ModelInterface& model, const SharedRegions* regions,
                   InferPlan& plan) {
  if (request.outputs.empty()) return true;
  std::vector<std::span<std::byte>> asked;
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    std::span<std::byte> shared;
    const Place place = find_place(request.outputs[i].parameters, regions, plan, shared);
    if (place == Place::kHandlersToSay) return hand_on(plan);
    if (place == Place::kMessage) continue;
    asked.resize(request.outputs.size());
    asked[i] = shared;
  }
  plan.wanted.resize(model.outputs.size());
  if (!asked.empty()) plan.destinations.resize(model.outputs.size());
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    const InferOutput& output = request.outputs[i];
    const auto declared = std::ranges::find(model.outputs, output.name, &DeclaredTensor::name);
    if (declared == model.outputs.end() || declared->name.empty()) {
      return refuse(plan, "unexpected inference output " + quoted(output.name) + " for model " + quoted(model.name));
    }
    const auto position = static_cast<size_t>(declared - model.outputs.begin());
    plan.wanted[position] = true;
    if (!asked.empty()) plan.destinations[position] = asked[i];
  }
  return true;
}

}  // namespace npuserve::wire
