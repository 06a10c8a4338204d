#include "wire/http_infer_response.h"

#include <array>
#include <charconv>
#include <cstring>
#include <string>

#include "core/dtype.h"
#include "wire/http_answer.h"

namespace npuserve::wire {
namespace {

template <typename Number>
void append_number(std::string& out, Number number) {
  std::array<char, 20> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

void append_shape(std::string& out, std::span<const int64_t> shape) {
  char before = '[';
  for (const int64_t size : shape) {
    out.push_back(before);
    append_number(out, size);
    before = ',';
  }
  out.append(shape.empty() ? "[]" : "]");
}

void append_output(std::string& out, const DeclaredTensor& declared, const core::OutputView& view) {
  out.append("{\"name\":");
  append_json_text(out, declared.name);
  out.append(",\"datatype\":\"").append(core::dtype_name(declared.dtype)).append("\",\"shape\":");
  if (declared.model_dims == declared.dims) {
    append_shape(out, view.shape());
  } else {
    append_shape(out, carry_sizes(view.shape(), declared.model_dims, declared.dims));
  }
  out.append(",\"parameters\":{\"binary_data_size\":");
  append_number(out, view.size_bytes());
  out.append("}}");
}

}  // namespace

HttpInferBody encode_http_response(const ModelInterface& model, std::string_view id, const std::vector<bool>& wanted,
                                   std::span<const core::OutputView> outputs) {
  const auto is_wanted = [&](size_t i) { return wanted.empty() ? !model.outputs[i].name.empty() : wanted[i]; };
  std::string json("{");
  json.reserve(256);
  if (!id.empty()) {
    json.append("\"id\":");
    append_json_text(json, id);
    json.append(",");
  }
  json.append("\"model_name\":");
  append_json_text(json, model.name);
  json.append(",\"model_version\":");
  append_json_text(json, model.version);
  json.append(",\"outputs\":[");
  size_t blob_bytes = 0;
  bool is_first = true;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!is_wanted(i)) continue;
    if (!is_first) json.append(",");
    is_first = false;
    append_output(json, model.outputs[i], outputs[i]);
    blob_bytes += outputs[i].size_bytes();
  }
  json.append("]}");

  HttpInferBody body{Buffer(json.size() + blob_bytes), json.size()};
  body.bytes.resize(json.size() + blob_bytes);
  std::memcpy(body.bytes.data(), json.data(), json.size());
  std::byte* to = body.bytes.data() + json.size();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!is_wanted(i)) continue;
    outputs[i].copy_to(to);
    to += outputs[i].size_bytes();
  }
  return body;
}

}  // namespace npuserve::wire
