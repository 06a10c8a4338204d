// A request's inputs against the model's, as npuserve.service.validate checks them.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/dtype.h"
#include "core/shape.h"
#include "wire/infer_check.h"
#include "wire/integer_conversion.h"

namespace npuserve::wire {
namespace {

using core::Dtype;
using core::Shape;

// Wide enough for the bytes of what clients state in earnest; what overflows it is the handlers' to refuse.
__extension__ using Wide = unsigned __int128;

constexpr size_t kLengthBytes = 4;  // before an element of BYTES
constexpr std::string_view kBatchNote =
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size.";

std::string text_of(Wide number) {
  std::string digits;
  do {
    digits += static_cast<char>('0' + static_cast<int>(number % 10));
    number /= 10;
  } while (number > 0);
  std::ranges::reverse(digits);
  return digits;
}

// The dims that a request states, with the batch dimension as -1 if there is one.
Shape full_dims(const ModelInterface& model, const DeclaredTensor& declared) {
  Shape full = declared.dims;
  if (model.max_batch_size > 0) full.insert(full.begin(), -1);
  return full;
}

class InputChecker {
 public:
  InputChecker(const InferRequest& request, const ModelInterface& model, InferPlan& plan)
      : request_(request), model_(model), plan_(plan) {}

  bool check_all() {
    if (!check_count() || !check_names() || !check_rows()) return false;
    plan_.inputs.resize(model_.inputs.size());
    for (size_t i = 0; i < request_.inputs.size(); ++i) {
      if (!check_input(i)) return false;
    }
    // Triton sizes such a request as if it had no batch dimension; with no bytes it is refused above.
    if (plan_.rows == 0) return refuse_request("inference request batch-size must be >= 1 for " + quoted(model_.name));
    return !model_.converts_integers || convert_integers();
  }

 private:
  static std::string quoted(std::string_view text) { return std::string("'").append(text).append("'"); }

  bool refuse_request(const std::string& message) { return refuse(plan_, id_prefix(request_.id) + message); }

  bool check_count() {
    if (request_.inputs.size() == model_.inputs.size()) return true;
    std::string given;
    for (const InferInput& input : request_.inputs) append(given, input.name);
    std::string missing;
    for (const DeclaredTensor& declared : model_.inputs) {
      const bool is_given =
          std::ranges::find(request_.inputs, declared.name, &InferInput::name) != request_.inputs.end();
      if (!is_given) append(missing, declared.name);
    }
    // An empty list of missing inputs prints as a lone bracket, as Triton prints it.
    const std::string missing_list = missing.empty() ? "]" : "[" + missing + "]";
    return refuse_request("expected " + std::to_string(model_.inputs.size()) + " inputs but got " +
                          std::to_string(request_.inputs.size()) + " inputs for model " + quoted(model_.name) +
                          ". Got input(s) [" + given + "], but missing required input(s) " + missing_list +
                          ". Please provide all required input(s).");
  }

  static void append(std::string& list, std::string_view name) {
    if (!list.empty()) list += ',';
    list += quoted(name);
  }

  bool check_names() {
    for (const InferInput& input : request_.inputs) {
      if (declared_index(input.name) == model_.inputs.size()) {
        return refuse(plan_, "unexpected inference input " + quoted(input.name) + " for model " + quoted(model_.name));
      }
    }
    return true;
  }

  size_t declared_index(std::string_view name) const {
    const auto declared = std::ranges::find(model_.inputs, name, &DeclaredTensor::name);
    return static_cast<size_t>(declared - model_.inputs.begin());
  }

  bool check_rows() {
    if (model_.max_batch_size == 0 || request_.inputs.empty()) return true;
    for (const InferInput& input : request_.inputs) {
      if (input.shape.empty()) {
        return refuse_request("input " + quoted(input.name) + " has no shape but model requires batch dimension for " +
                              quoted(model_.name));
      }
      // The first input before: only its shape is known not to be empty.
      if (input.shape[0] != request_.inputs[0].shape[0]) {
        return refuse_request("input " + quoted(input.name) + " batch size does not match other inputs for " +
                              quoted(model_.name));
      }
    }
    plan_.rows = request_.inputs[0].shape[0];
    return plan_.rows <= model_.max_batch_size ||
           refuse_request("inference request batch-size must be <= " + std::to_string(model_.max_batch_size) + " for " +
                          quoted(model_.name));
  }

  // In the signature's order, as the handlers do it. What is converted lies behind the typed contents.
  bool convert_integers() {
    for (size_t position = 0; position < plan_.inputs.size(); ++position) {
      const auto declared =
          static_cast<size_t>(std::ranges::find(model_.input_positions, position) - model_.input_positions.begin());
      if (!convert(model_.inputs[declared], plan_.inputs[position])) return false;
    }
    return true;
  }

  bool convert(const DeclaredTensor& declared, core::TensorView& view) {
    const auto given = std::ranges::find(request_.inputs, declared.name, &InferInput::name);
    const Dtype dtype = stated_dtype(*given, declared);
    if (dtype == declared.sink_dtype()) return true;
    // Its owner may change it while it is converted, and then no value may be left that explains a refusal.
    if (is_shared(static_cast<size_t>(given - request_.inputs.begin()))) return hand_on(plan_);
    const size_t elements = view.size_bytes / core::dtype_size_bytes(dtype);
    Buffer& converted = plan_.converted.emplace_back(elements * core::dtype_size_bytes(declared.sink_dtype()));
    converted.resize(converted.capacity());
    const std::optional<std::string> reason =
        wire::convert_integers({view.data, view.size_bytes}, converted.data(), declared.sink_dtype());
    if (reason) {
      return refuse_request("input " + quoted(declared.name) + " for model " + quoted(request_.model_name) + " has " +
                            *reason);
    }
    view.data = converted.data();
    view.size_bytes = converted.size();
    return true;
  }

  bool is_shared(size_t index) const { return !plan_.shared_inputs.empty() && !plan_.shared_inputs[index].empty(); }

  // REQUIRES: called for one input after the other.
  std::span<const std::byte> next_content(size_t index) {
    if (is_shared(index)) return plan_.shared_inputs[index];
    const size_t sent = sent_++;
    return plan_.converted.empty() ? request_.raw_input_contents[sent] : plan_.converted[sent].bytes();
  }

  bool check_input(size_t index) {
    const InferInput& input = request_.inputs[index];
    const size_t position = declared_index(input.name);
    const DeclaredTensor& declared = model_.inputs[position];
    const std::span<const std::byte> bytes = next_content(index);
    if (!check_dtype(input, declared) || !check_shape(input, declared) || !check_size(input, declared, bytes)) {
      return false;
    }
    core::TensorView& view = plan_.inputs[model_.input_positions[position]];
    view.data = bytes.data();
    view.size_bytes = bytes.size();
    view.shape = carry_sizes(input.shape, declared.dims, declared.model_dims);
    return true;
  }

  // Of a checked input: the declared one or, if the model converts, the other.
  static Dtype stated_dtype(const InferInput& input, const DeclaredTensor& declared) {
    return core::dtype_from_name(input.datatype).value_or(declared.dtype);
  }

  bool check_dtype(const InferInput& input, const DeclaredTensor& declared) {
    const std::optional<Dtype> dtype = core::dtype_from_name(input.datatype);
    const bool converts = model_.converts_integers && dtype && is_convertible(*dtype, declared.dtype);
    return dtype == declared.dtype || converts ||
           refuse_request("inference input " + quoted(input.name) + " data-type is " +
                          quoted(dtype ? core::dtype_name(*dtype) : "<invalid>") + ", but model " +
                          quoted(model_.name) + " expects " + quoted(core::dtype_name(declared.dtype)));
  }

  bool check_shape(const InferInput& input, const DeclaredTensor& declared) {
    const size_t batch = model_.max_batch_size > 0 ? 1 : 0;
    bool fits = input.shape.size() == declared.dims.size() + batch;
    if (fits && std::ranges::any_of(input.shape, [](int64_t size) { return size < 0; })) {
      return refuse_request("All input dimensions should be specified for input " + quoted(input.name) + " for model " +
                            quoted(model_.name) + ", got " + core::format_shape(input.shape));
    }
    for (size_t i = 0; fits && i < declared.dims.size(); ++i) {
      fits = declared.dims[i] == -1 || declared.dims[i] == input.shape[batch + i];
    }
    if (fits) return true;
    return refuse_request("unexpected shape for input " + quoted(input.name) + " for model " + quoted(model_.name) +
                          ". Expected " + core::format_shape(full_dims(model_, declared)) + ", got " +
                          core::format_shape(input.shape) + ". " + std::string(batch > 0 ? kBatchNote : ""));
  }

  // The elements of a checked shape; a batch dimension of 0 counts as none, as in Triton. None if they overflow.
  std::optional<Wide> elements(const InferInput& input, size_t element_bytes) const {
    const bool no_rows = model_.max_batch_size > 0 && input.shape[0] == 0;
    const auto dims = std::span(input.shape).subspan(no_rows ? 1 : 0);
    if (std::ranges::find(dims, 0) != dims.end()) return 0;
    Wide count = 1;
    Wide bytes = element_bytes;
    for (const int64_t size : dims) {
      if (__builtin_mul_overflow(bytes, static_cast<Wide>(size), &bytes)) return std::nullopt;
      count *= static_cast<Wide>(size);
    }
    return count;
  }

  bool check_size(const InferInput& input, const DeclaredTensor& declared, std::span<const std::byte> bytes) {
    const Dtype dtype = stated_dtype(input, declared);
    const size_t element_bytes = std::max<size_t>(core::dtype_size_bytes(dtype), 1);
    const std::optional<Wide> count = elements(input, element_bytes);
    if (!count) return hand_on(plan_);
    if (declared.dtype == Dtype::kBytes) return check_elements(input, bytes, *count);
    const Wide expected = *count * element_bytes;
    return bytes.size() == expected || refuse_request("input byte size mismatch for input " + quoted(input.name) +
                                                      " for model " + quoted(model_.name) + ". Expected " +
                                                      text_of(expected) + ", got " + std::to_string(bytes.size()));
  }

  // Walks the raw content of BYTES and counts its elements.
  bool check_elements(const InferInput& input, std::span<const std::byte> bytes, Wide expected) {
    const std::string where = "inference input " + quoted(input.name);
    const std::string of = where + " for model " + quoted(model_.name);
    std::string overrun;
    size_t count = 0;
    for (size_t at = 0; at < bytes.size();) {
      if (bytes.size() - at < kLengthBytes) {
        return refuse_request("incomplete string length indicator for " + of + ", expecting " +
                              std::to_string(kLengthBytes) + " bytes but only " + std::to_string(bytes.size() - at) +
                              " bytes available. Please make sure the string length indicator is in one buffer.");
      }
      if (++count > expected) {
        return refuse_request("unexpected number of string elements " + std::to_string(count) + " for " + of +
                              ", expecting " + text_of(expected));
      }
      uint32_t length = 0;
      std::memcpy(&length, bytes.data() + at, kLengthBytes);
      at += kLengthBytes;
      const size_t left = bytes.size() - at;
      if (length > left) {
        overrun = "expecting string of length " + std::to_string(length) + " but only " + std::to_string(left) +
                  " bytes available";
      }
      at += length;
    }
    if (count != expected) {
      return refuse_request("expected " + text_of(expected) + " string elements for " + of + ", got " +
                            std::to_string(count));
    }
    return overrun.empty() || refuse(plan_, "incomplete string data for " + where + ", " + overrun);
  }

  const InferRequest& request_;
  const ModelInterface& model_;
  InferPlan& plan_;
  size_t sent_ = 0;  // inputs so far whose bytes the message has
};

}  // namespace

bool check_inputs(const InferRequest& request, const ModelInterface& model, InferPlan& plan) {
  return InputChecker(request, model, plan).check_all();
}

}  // namespace npuserve::wire
