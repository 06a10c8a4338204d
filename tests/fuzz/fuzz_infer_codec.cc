// Any bytes as a ModelInferRequest: parsed, checked against models of every kind, and answered if they are valid. What
// they say of the shared memory region "r" reaches nothing beside it.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../native/wire/mapped_memory.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "core/tensor_view.h"
#include "invariant.h"
#include "wire/framing.h"
#include "wire/infer_codec.h"
#include "wire/infer_request.h"
#include "wire/model_interface.h"
#include "wire/placed_outputs.h"
#include "wire/shared_regions.h"

namespace core = npuserve::core;
namespace wire = npuserve::wire;
using npuserve::fuzz::require;
using Bytes = std::span<const std::byte>;

namespace {

constexpr core::Dtype kDtypes[] = {
    core::Dtype::kBool, core::Dtype::kUint8, core::Dtype::kUint16, core::Dtype::kUint32, core::Dtype::kUint64,
    core::Dtype::kInt8, core::Dtype::kInt16, core::Dtype::kInt32,  core::Dtype::kInt64,  core::Dtype::kFp16,
    core::Dtype::kFp32, core::Dtype::kFp64,  core::Dtype::kBf16,   core::Dtype::kBytes};

// One input "x" of any length, as long as the dtype is the one.
wire::ModelInterface plain_model(core::Dtype dtype) {
  wire::ModelInterface model{"plain", "1", 0, {}, {}, {}};
  model.inputs = {{"x", dtype, {-1}, {-1}}};
  model.input_positions = {0};
  model.outputs = {{"y", core::Dtype::kFp32, {2, -1}, {2, -1}}};
  return model;
}

// Batches; its inputs and an output are reshaped, and its signature has the inputs the other way round.
wire::ModelInterface reshaping_model() {
  wire::ModelInterface model{"reshaping", "3", 8, {}, {}, {}};
  model.inputs = {{"a", core::Dtype::kInt32, {2, -1}, {-1, 1, 2}}, {"b", core::Dtype::kBytes, {1}, {}}};
  model.input_positions = {1, 0};
  model.outputs = {{"c", core::Dtype::kInt64, {1}, {}},
                   {"d", core::Dtype::kFp16, {-1, 4}, {4, -1}},
                   {"e", core::Dtype::kBool, {3}, {3}}};
  return model;
}

// One input for each dtype, "FP32" for FP32.
wire::ModelInterface wide_model() {
  wire::ModelInterface model{"wide", "12", 2, {}, {}, {}};
  for (const core::Dtype dtype : kDtypes) {
    model.input_positions.push_back(model.inputs.size());
    model.inputs.push_back({std::string(core::dtype_name(dtype)), dtype, {2}, {2}});
  }
  model.outputs = {{"y", core::Dtype::kUint8, {5}, {5}}};
  return model;
}

// Takes the other integer type than its config declares, and converts what it is given.
wire::ModelInterface converting_model(core::Dtype declared, core::Dtype own) {
  wire::ModelInterface model = plain_model(declared);
  model.inputs.front().model_dtype = own;
  model.converts_integers = true;
  return model;
}

std::vector<wire::ModelInterface> make_models() {
  std::vector<wire::ModelInterface> models = {reshaping_model(), wide_model()};
  for (const core::Dtype dtype : kDtypes) models.push_back(plain_model(dtype));
  models.push_back(converting_model(core::Dtype::kInt64, core::Dtype::kInt32));
  models.push_back(converting_model(core::Dtype::kInt32, core::Dtype::kInt64));
  return models;
}

bool lies_in(Bytes inner, Bytes outer) {
  const std::less_equal<const std::byte*> before;
  return inner.empty() ||
         (before(outer.data(), inner.data()) && before(inner.data() + inner.size(), outer.data() + outer.size()));
}

// The one region, and all of its memory.
struct Shared {
  Shared() {
    constexpr size_t kRegionBytes = 64;
    const int file = memfd_create("npuserve_fuzz", MFD_CLOEXEC);
    require(
        ftruncate(file, kRegionBytes) == 0 && regions.add("r", file, 0, wire::test::map_shared(file, 0, kRegionBytes)),
        "the region is mapped");
    close(file);
    memory = regions.find("r")->part(0, kRegionBytes);
  }

  wire::SharedRegions regions;
  Bytes memory;
};

const Shared& shared() {
  static const Shared instance;
  return instance;
}

// --- Parsing: a request as text, every view of which is seen to lie in the message.

class Description {
 public:
  explicit Description(Bytes message) : message_(message) {}

  std::string of(const wire::InferRequest& request) {
    text(request.model_name);
    text(request.model_version);
    text(request.id);
    parameters(request.parameters);
    for (const wire::InferInput& each : request.inputs) input(each);
    for (const wire::InferOutput& each : request.outputs) {
      text(each.name);
      parameters(each.parameters);
    }
    for (const Bytes raw : request.raw_input_contents) bytes(raw);
    number(request.has_more);
    return std::move(written_);
  }

 private:
  void bytes(Bytes view) {
    require(lies_in(view, message_), "a parsed view lies in the message");
    number(static_cast<int64_t>(view.size()));
    written_.append(reinterpret_cast<const char*>(view.data()), view.size());
  }

  void text(std::string_view view) { bytes(std::as_bytes(std::span<const char>(view.data(), view.size()))); }

  void number(int64_t value) { written_.append(std::to_string(value)).append(";"); }

  void parameters(const std::vector<wire::InferParameter>& all) {
    for (const wire::InferParameter& each : all) {
      text(each.key);
      number(static_cast<int64_t>(each.kind));
      if (each.kind == wire::ParameterKind::kInt64) number(each.int64_value);
      if (each.kind == wire::ParameterKind::kString) text(each.string_value);
    }
  }

  void input(const wire::InferInput& each) {
    text(each.name);
    text(each.datatype);
    for (const int64_t size : each.shape) number(size);
    parameters(each.parameters);
    number(each.has_contents);
    for (const Bytes piece : each.contents.pieces) bytes(piece);
    for (const size_t count : each.contents.counts) number(static_cast<int64_t>(count));
    number(static_cast<int64_t>(each.contents.element_bytes));
  }

  Bytes message_;
  std::string written_;
};

// --- Checking: what is ready fits the model.

size_t bytes_elements(Bytes content) {
  size_t count = 0;
  for (; !content.empty(); ++count) {
    uint32_t length = 0;
    require(content.size() >= sizeof(length), "a BYTES element has a length");
    std::memcpy(&length, content.data(), sizeof(length));
    require(content.size() - sizeof(length) >= length, "a BYTES element is whole");
    content = content.subspan(sizeof(length) + length);
  }
  return count;
}

bool fits(std::span<const int64_t> shape, std::span<const int64_t> dims) {
  return std::equal(shape.begin(), shape.end(), dims.begin(), dims.end(),
                    [](int64_t size, int64_t dim) { return size >= 0 && (dim == -1 || dim == size); });
}

void check_input(const core::TensorView& view, const wire::DeclaredTensor& declared, const wire::InferPlan& plan,
                 bool batches, Bytes message) {
  std::span<const int64_t> shape = view.shape;
  if (batches) {
    require(!shape.empty() && shape.front() == plan.rows, "an input has the request's rows");
    shape = shape.subspan(1);
  }
  require(fits(shape, declared.model_dims), "an input's shape is one that the model sees");
  const Bytes content(view.data, view.size_bytes);
  require(lies_in(content, message) || (!content.empty() && lies_in(content, shared().memory)) ||
              std::any_of(plan.converted.begin(), plan.converted.end(),
                          [&](const wire::Buffer& each) { return lies_in(content, each.bytes()); }),
          "an input lies in the message, in the region or in a conversion");
  if (declared.dtype == core::Dtype::kBytes) {
    require(content.empty() || !lies_in(content, shared().memory), "a BYTES tensor is not its client's to change");
    require(bytes_elements(content) == static_cast<size_t>(core::element_count(view.shape)), "a BYTES tensor is full");
  } else {
    require(content.size() == core::byte_count(view.shape, core::dtype_size_bytes(declared.sink_dtype())),
            "an input's bytes are its shape's");
  }
}

void check_plan(const wire::InferPlan& plan, const wire::ModelInterface& model, Bytes message) {
  require(plan.refusal.ok(), "what is ready is not refused");
  require(plan.inputs.size() == model.inputs.size(), "every input is there");
  require(plan.rows >= 1 && (plan.rows == 1 || plan.rows <= model.max_batch_size), "the rows fit the greatest batch");
  require(plan.wanted.empty() || plan.wanted.size() == model.outputs.size(), "every output is wanted or not");
  require(plan.destinations.empty() || plan.destinations.size() == model.outputs.size(), "every output has a place");
  for (const std::span<std::byte> place : plan.destinations) {
    require(lies_in(place, shared().memory), "an output's place lies in the region");
  }
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    check_input(plan.inputs[model.input_positions[i]], model.inputs[i], plan, model.max_batch_size > 0, message);
  }
}

// --- Answering: outputs of a pattern, and a reader of responses that shares nothing with the writer.

struct Output {
  core::Shape shape;
  core::Shape padded_shape;
};

Output output_of(const wire::DeclaredTensor& declared, const wire::InferPlan& plan, bool batches) {
  constexpr int64_t kVariable = 3;
  Output output;
  if (batches) output.shape.push_back(plan.rows);
  for (const int64_t dim : declared.model_dims) output.shape.push_back(dim == -1 ? kVariable : dim);
  output.padded_shape = output.shape;
  if (!declared.model_dims.empty()) ++output.padded_shape.back();
  return output;
}

uint64_t take_varint(Bytes& bytes) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    require(!bytes.empty(), "a varint of the response is whole");
    const auto byte = static_cast<uint64_t>(bytes.front());
    bytes = bytes.subspan(1);
    value |= (byte & 0x7fU) << shift;
    if (byte < 0x80U) return value;
  }
  require(false, "a varint of the response has ten bytes at most");
  return 0;
}

// The payloads of one field of a message whose fields are all strings, bytes and messages.
std::vector<Bytes> field_of(Bytes message, uint64_t field) {
  std::vector<Bytes> payloads;
  while (!message.empty()) {
    const uint64_t tag = take_varint(message);
    require((tag & 7U) == 2, "the response's fields have a length");
    const uint64_t length = take_varint(message);
    require(length <= message.size(), "the response's fields are whole");
    if (tag >> 3U == field) payloads.push_back(message.first(length));
    message = message.subspan(length);
  }
  return payloads;
}

void check_response(Bytes framed, const std::vector<core::OutputView>& wanted) {
  require(framed.size() >= wire::kPrefixBytes, "a response has its prefix");
  size_t length = 0;
  for (size_t i = 1; i < wire::kPrefixBytes; ++i) length = length << 8U | static_cast<size_t>(framed[i]);
  require(framed[0] == std::byte{0} && length == framed.size() - wire::kPrefixBytes, "the prefix says the length");
  const Bytes message = framed.subspan(wire::kPrefixBytes);
  require(field_of(message, 5).size() == wanted.size(), "every wanted output is described");
  const std::vector<Bytes> contents = field_of(message, 6);
  require(contents.size() == wanted.size(), "every wanted output is there");
  for (size_t i = 0; i < wanted.size(); ++i) {
    std::vector<std::byte> dense(wanted[i].size_bytes());
    wanted[i].copy_to(dense.data());
    require(std::equal(dense.begin(), dense.end(), contents[i].begin(), contents[i].end()),
            "the outputs are the sink's");
  }
}

// The outputs as the response has them, those in the region without bytes; none if the region has too little room.
std::vector<core::OutputView> placed(const wire::ModelInterface& model, const wire::InferPlan& plan,
                                     const std::vector<core::OutputView>& outputs) {
  const wire::PlacedOutputs placed(model, plan.destinations, outputs);
  bool has_room = true;
  for (size_t i = 0; i < plan.destinations.size(); ++i) {
    const std::span<std::byte> place = plan.destinations[i];
    has_room = has_room && (place.empty() || place.size() >= outputs[i].size_bytes());
  }
  require(placed.status().ok() == has_room, "outputs are placed where there is room for all");
  if (!has_room) return {};
  for (size_t i = 0; i < plan.destinations.size(); ++i) {
    const bool is_placed = placed.views()[i].size_bytes() == 0;
    require(plan.destinations[i].empty() || is_placed, "a placed output is not in the response too");
  }
  return {placed.views().begin(), placed.views().end()};
}

void answer(const wire::ModelInterface& model, const wire::InferRequest& request, const wire::InferPlan& plan) {
  static const std::vector<std::byte> pattern = [] {
    std::vector<std::byte> bytes(4096);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
    return bytes;
  }();
  std::vector<Output> shapes;
  shapes.reserve(model.outputs.size());
  for (const auto& declared : model.outputs) shapes.push_back(output_of(declared, plan, model.max_batch_size > 0));
  std::vector<core::OutputView> outputs;
  outputs.reserve(shapes.size());
  std::vector<core::OutputView> wanted;
  for (size_t i = 0; i < shapes.size(); ++i) {
    outputs.emplace_back(pattern.data(), core::dtype_size_bytes(model.outputs[i].dtype), shapes[i].shape,
                         shapes[i].padded_shape);
  }
  outputs = placed(model, plan, outputs);
  if (outputs.empty()) return;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (plan.wanted.empty() || plan.wanted[i]) wanted.push_back(outputs[i]);
  }
  core::Status status;
  const wire::Buffer framed = wire::encode_response(model, request.id, plan.wanted, outputs, status);
  require(status.ok(), "a small response is not refused");
  check_response(framed.bytes(), wanted);
}

void check_model(const wire::InferRequest& request, const wire::ModelInterface& model, Bytes message) {
  const wire::InferPlan plan = wire::check(request, model, &shared().regions);
  if (plan.verdict == wire::Verdict::kRefused) {
    require(!plan.refusal.ok() && !plan.refusal.message().empty(), "a refusal says why");
  } else if (plan.verdict == wire::Verdict::kReady) {
    check_plan(plan, model, message);
    answer(model, request, plan);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<wire::ModelInterface> models = make_models();
  static wire::InferRequest reused;
  const Bytes message(reinterpret_cast<const std::byte*>(data), size);
  wire::InferRequest fresh;
  const bool parsed = wire::parse(message, fresh);
  require(wire::parse(message, reused) == parsed, "a reused request parses what a fresh one does");
  if (!parsed) return 0;
  require(Description(message).of(fresh) == Description(message).of(reused),
          "a reused request holds what a fresh one does");

  check_model(fresh, models[0], message);
  check_model(fresh, models[1], message);
  if (fresh.inputs.empty()) return 0;
  check_model(fresh, models[models.size() - 2], message);
  check_model(fresh, models[models.size() - 1], message);
  const std::optional<core::Dtype> dtype = core::dtype_from_name(fresh.inputs.front().datatype);
  check_model(fresh, models[2 + static_cast<size_t>(dtype.value_or(core::Dtype::kFp32))], message);
  return 0;
}
