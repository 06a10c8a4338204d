#include "wire/infer_check.h"

#include <algorithm>
#include <array>
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

// Whether the handlers have to look at a tensor's parameters: shared memory, classification and typed responses are
// theirs.
bool asks_for_more(const std::vector<InferParameter>& parameters) {
  static constexpr std::array<std::string_view, 5> kKeys{"shared_memory_region", "shared_memory_offset",
                                                         "shared_memory_byte_size", "classification", "binary_data"};
  return std::ranges::any_of(parameters, [](const InferParameter& parameter) {
    return std::ranges::find(kKeys, parameter.key) != kKeys.end();
  });
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

bool take_content(const InferRequest& request, size_t index, InferPlan& plan) {
  const InferInput& input = request.inputs[index];
  if (asks_for_more(input.parameters)) return hand_on(plan);
  const bool raw = !request.raw_input_contents.empty();
  if (!input.has_contents && index < request.raw_input_contents.size()) return true;
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

bool take_contents(const InferRequest& request, InferPlan& plan) {
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (!take_content(request, i, plan)) return false;
  }
  return true;
}

bool check_outputs(const InferRequest& request, const ModelInterface& model, InferPlan& plan) {
  if (request.outputs.empty()) return true;
  for (const InferOutput& output : request.outputs) {
    if (asks_for_more(output.parameters)) return hand_on(plan);
  }
  plan.wanted.resize(model.outputs.size());
  for (const InferOutput& output : request.outputs) {
    const auto declared = std::ranges::find(model.outputs, output.name, &DeclaredTensor::name);
    if (declared == model.outputs.end() || declared->name.empty()) {
      return refuse(plan, "unexpected inference output " + quoted(output.name) + " for model " + quoted(model.name));
    }
    plan.wanted[static_cast<size_t>(declared - model.outputs.begin())] = true;
  }
  return true;
}

}  // namespace npuserve::wire
