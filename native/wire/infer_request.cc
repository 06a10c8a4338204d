#include "wire/infer_request.h"

#include <algorithm>
#include <utility>

#include "wire/infer_contents.h"
#include "wire/protobuf_reader.h"

namespace npuserve::wire {
namespace {

using enum WireType;

bool read_text(const Field& field, std::string_view& text) {
  text = field.text();
  return is_utf8(text);
}

// One message's fields, one `read_` function a message type; each returns false for what is malformed.
class Parser {
 public:
  explicit Parser(InferRequest& request) : request_(request) {}

  bool read_request(ProtobufReader reader) {
    Field field;
    while (reader.next(field)) {
      if (!read_request_field(reader, field)) return false;
    }
    return reader.ok();
  }

 private:
  template <typename Part>
  void keep(std::vector<Part>& parts, Part part) {
    if (parts.size() == kMostParts) {
      request_.has_more = true;
    } else {
      parts.push_back(std::move(part));
    }
  }

  bool read_request_field(const ProtobufReader& reader, const Field& field) {
    switch (field.tag) {
      case tag_of(1, kBytes):
        return read_text(field, request_.model_name);
      case tag_of(2, kBytes):
        return read_text(field, request_.model_version);
      case tag_of(3, kBytes):
        return read_text(field, request_.id);
      case tag_of(4, kBytes):
        return read_parameter(reader.nested(field), request_.parameters);
      case tag_of(5, kBytes):
        return read_input(reader.nested(field));
      case tag_of(6, kBytes):
        return read_output(reader.nested(field));
      case tag_of(7, kBytes):
        keep(request_.raw_input_contents, field.bytes);
        return true;
      default:
        return true;
    }
  }

  bool read_input(ProtobufReader reader) {
    InferInput input = take_spare_input(request_);
    Field field;
    while (reader.next(field)) {
      if (!read_input_field(reader, field, input)) return false;
    }
    keep(request_.inputs, std::move(input));
    return reader.ok();
  }

  bool read_input_field(const ProtobufReader& reader, const Field& field, InferInput& input) {
    switch (field.tag) {
      case tag_of(1, kBytes):
        return read_text(field, input.name);
      case tag_of(2, kBytes):
        return read_text(field, input.datatype);
      case tag_of(3, kVarint):
        keep(input.shape, static_cast<int64_t>(field.value));
        return true;
      case tag_of(3, kBytes):
        return read_packed_shape(reader.nested(field), input.shape);
      case tag_of(4, kBytes):
        return read_parameter(reader.nested(field), input.parameters);
      case tag_of(5, kBytes):
        input.has_contents = true;
        if (!field.bytes.empty()) keep(input.contents.pieces, field.bytes);
        return count_contents(reader.nested(field), input.contents);
      default:
        return true;
    }
  }

  bool read_packed_shape(ProtobufReader reader, std::vector<int64_t>& shape) {
    uint64_t dim = 0;
    while (reader.next_varint(dim)) keep(shape, static_cast<int64_t>(dim));
    return reader.ok();
  }

  bool read_output(ProtobufReader reader) {
    InferOutput output;
    Field field;
    while (reader.next(field)) {
      if (field.tag == tag_of(1, kBytes) && !read_text(field, output.name)) return false;
      if (field.tag == tag_of(2, kBytes) && !read_parameter(reader.nested(field), output.parameters)) return false;
    }
    keep(request_.outputs, std::move(output));
    return reader.ok();
  }

  // An entry of a map. One with fields of its own besides key and value is none to protobuf's parser, but must be well
  // formed.
  bool read_parameter(ProtobufReader reader, std::vector<InferParameter>& parameters) {
    InferParameter parameter;
    bool is_entry = true;
    Field field;
    while (reader.next(field)) {
      if (field.tag == tag_of(1, kBytes)) {
        if (!read_text(field, parameter.key)) return false;
      } else if (field.tag == tag_of(2, kBytes)) {
        if (!read_parameter_value(reader.nested(field), parameter)) return false;
      } else {
        is_entry = false;
      }
    }
    if (reader.ok() && is_entry) set_parameter(parameters, parameter);
    return reader.ok();
  }

  void set_parameter(std::vector<InferParameter>& parameters, const InferParameter& parameter) {
    const auto known = std::ranges::find(parameters, parameter.key, &InferParameter::key);
    if (known == parameters.end()) {
      keep(parameters, parameter);
    } else {
      *known = parameter;
    }
  }

  static bool read_parameter_value(ProtobufReader reader, InferParameter& parameter) {
    Field field;
    while (reader.next(field)) {
      switch (field.tag) {
        case tag_of(1, kVarint):
          parameter.kind = ParameterKind::kBool;
          break;
        case tag_of(2, kVarint):
          parameter.kind = ParameterKind::kInt64;
          parameter.int64_value = static_cast<int64_t>(field.value);
          break;
        case tag_of(3, kBytes):
          parameter.kind = ParameterKind::kString;
          if (!read_text(field, parameter.string_value)) return false;
          break;
        case tag_of(4, kFixed64):
          parameter.kind = ParameterKind::kDouble;
          break;
        case tag_of(5, kVarint):
          parameter.kind = ParameterKind::kUint64;
          parameter.uint64_value = field.value;
          break;
        default:
          break;
      }
    }
    return reader.ok();
  }

  InferRequest& request_;
};

void clear(InferInput& input) {
  input.name = {};
  input.datatype = {};
  input.shape.clear();
  input.parameters.clear();
  input.has_contents = false;
  input.contents.pieces.clear();
  input.contents.counts = {};
  input.contents.element_bytes = 0;
}

}  // namespace

InferInput take_spare_input(InferRequest& request) {
  if (request.spare_inputs.empty()) return {};
  InferInput input = std::move(request.spare_inputs.back());
  request.spare_inputs.pop_back();
  return input;
}

void clear(InferRequest& request) {
  request.model_name = {};
  request.model_version = {};
  request.id = {};
  request.parameters.clear();
  while (!request.inputs.empty()) {
    if (request.spare_inputs.size() < kMostParts) {
      clear(request.inputs.back());
      request.spare_inputs.push_back(std::move(request.inputs.back()));
    }
    request.inputs.pop_back();
  }
  request.outputs.clear();
  request.raw_input_contents.clear();
  request.has_more = false;
}

bool parse(std::span<const std::byte> message, InferRequest& request) {
  clear(request);
  return Parser(request).read_request(ProtobufReader(message));
}

}  // namespace npuserve::wire
