// Answers ModelInferRequests from standard input as the native wire does, with models that give their inputs back: the
// native half of tests/unit/test_infer_codec.py.
//
// First come a table of models and one of shared memory regions, one word after another, in the fields' order below,
// each ended by "end"; then requests, each behind its length (4 bytes, little-endian). Each answer is a gRPC code or
// 255 for "handed on" (1 byte), a length (4 bytes), and as many bytes: the status message or the encoded response.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../mapped_memory.h"
#include "core/dtype.h"
#include "wire/framing.h"
#include "wire/infer_codec.h"
#include "wire/infer_request.h"
#include "wire/integer_conversion.h"
#include "wire/placed_outputs.h"
#include "wire/shared_regions.h"

namespace {

using npuserve::core::OutputView;
using npuserve::core::Shape;
using npuserve::core::Status;
using npuserve::core::StatusCode;
using npuserve::core::TensorView;
using npuserve::wire::Buffer;
using npuserve::wire::DeclaredTensor;
using npuserve::wire::InferPlan;
using npuserve::wire::InferRequest;
using npuserve::wire::ModelInterface;
using npuserve::wire::SharedRegions;
using npuserve::wire::Verdict;

constexpr uint8_t kHandedOn = 255;

template <typename Number>
Number read_number(std::istream& in) {
  Number number{};
  if (!(in >> number)) throw std::runtime_error("the table of models is not well formed");
  return number;
}

Shape read_shape(std::istream& in) {
  Shape shape(read_number<size_t>(in));
  for (int64_t& dim : shape) dim = read_number<int64_t>(in);
  return shape;
}

// NAME DTYPE MODEL_DTYPE RANK DIM... RANK MODEL_DIM...; "-" stands for no name.
DeclaredTensor read_tensor(std::istream& in) {
  DeclaredTensor tensor;
  std::string dtype;
  std::string model_dtype;
  in >> tensor.name >> dtype >> model_dtype;
  if (tensor.name == "-") tensor.name.clear();
  tensor.dtype = npuserve::core::dtype_from_name(dtype).value();
  if (model_dtype != dtype) tensor.model_dtype = npuserve::core::dtype_from_name(model_dtype).value();
  tensor.dims = read_shape(in);
  tensor.model_dims = read_shape(in);
  return tensor;
}

// NAME VERSION MAX_BATCH_SIZE CONVERTS_INTEGERS INPUTS (POSITION TENSOR)... OUTPUTS (TENSOR)...
std::map<std::string, ModelInterface, std::less<>> read_models(std::istream& in) {
  std::map<std::string, ModelInterface, std::less<>> models;
  for (std::string name; in >> name && name != "end";) {
    ModelInterface model;
    model.name = name;
    in >> model.version;
    model.max_batch_size = read_number<int64_t>(in);
    model.converts_integers = read_number<int>(in) != 0;
    for (auto left = read_number<size_t>(in); left > 0; --left) {
      model.input_positions.push_back(read_number<size_t>(in));
      model.inputs.push_back(read_tensor(in));
    }
    for (auto left = read_number<size_t>(in); left > 0; --left) model.outputs.push_back(read_tensor(in));
    models.emplace(name, std::move(model));
  }
  return models;
}

// NAME PATH OFFSET BYTE_SIZE
SharedRegions read_regions(std::istream& in) {
  SharedRegions regions;
  for (std::string name; in >> name && name != "end";) {
    std::string path;
    in >> path;
    const auto offset = read_number<uint64_t>(in);
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    auto memory = npuserve::wire::test::map_shared(file, offset, read_number<size_t>(in));
    if (!regions.add(name, file, offset, std::move(memory))) throw std::runtime_error(path + " is not a region");
    close(file);
  }
  in.get();  // the end of the line
  return regions;
}

struct Answer {
  uint8_t code = 0;
  std::string content;
};

Answer refused(const Status& status) { return {static_cast<uint8_t>(status.code()), status.message()}; }

// What an executor would give: each input as the output of its place. BYTES, which no view shows, come out as the bytes
// of their raw form, in one row.
Answer executed(const ModelInterface& model, const InferRequest& request, const InferPlan& plan) {
  std::vector<Shape> shapes;
  std::vector<std::vector<std::byte>> slots;  // outputs may be placed where inputs lie
  for (const TensorView& input : plan.inputs) {
    slots.emplace_back(input.data, input.data + input.size_bytes);
    const DeclaredTensor& output = model.outputs[shapes.size()];
    shapes.push_back(output.name == "raw" ? Shape{1, static_cast<int64_t>(input.size_bytes)} : input.shape);
  }
  std::vector<OutputView> outputs;
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    const size_t element_bytes = npuserve::core::dtype_size_bytes(model.outputs[i].sink_dtype());
    outputs.emplace_back(slots[i].data(), element_bytes, shapes[i], shapes[i]);
  }
  const npuserve::wire::DeclaredOutputs declared(model, plan.wanted, outputs);
  if (!declared.status().ok()) return refused(declared.status());
  const npuserve::wire::PlacedOutputs placed(model, plan.destinations, declared.views());
  if (!placed.status().ok()) return refused(placed.status());
  Status status;
  const Buffer response = npuserve::wire::encode_response(model, request.id, plan.wanted, placed.views(), status);
  if (!status.ok()) return refused(status);
  const auto message = response.bytes().subspan(npuserve::wire::kPrefixBytes);
  return {0, std::string(reinterpret_cast<const char*>(message.data()), message.size())};
}

class Answers {
 public:
  explicit Answers(std::istream& in) : models_(read_models(in)), regions_(read_regions(in)) {}

  Answer answer(std::string_view message) {
    if (!npuserve::wire::parse(std::as_bytes(std::span(message)), request_)) {
      return refused({StatusCode::kInternal, "Unable to parse request"});
    }
    const auto found = models_.find(request_.model_name);
    if (found == models_.end() || !request_.model_version.empty()) return {kHandedOn, ""};
    const InferPlan plan = npuserve::wire::check(request_, found->second, &regions_);
    switch (plan.verdict) {
      case Verdict::kReady:
        return executed(found->second, request_, plan);
      case Verdict::kRefused:
        return refused(plan.refusal);
      case Verdict::kHandOn:
        break;
    }
    return {kHandedOn, ""};
  }

 private:
  std::map<std::string, ModelInterface, std::less<>> models_;
  SharedRegions regions_;
  InferRequest request_;  // one for all, as an endpoint has
};

bool read_message(std::istream& in, std::string& message) {
  uint32_t length = 0;
  if (!in.read(reinterpret_cast<char*>(&length), sizeof length)) return false;
  // Of the exact size, so that AddressSanitizer sees a read beyond the end.
  message = std::string(length, '\0');
  message.shrink_to_fit();
  return static_cast<bool>(in.read(message.data(), length));
}

void write_answer(std::ostream& out, const Answer& answer) {
  const auto length = static_cast<uint32_t>(answer.content.size());
  out.put(static_cast<char>(answer.code));
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << answer.content << std::flush;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  Answers answers(std::cin);
  for (std::string message; read_message(std::cin, message);) write_answer(std::cout, answers.answer(message));
  return 0;
}
