// A ModelInferRequest read where it lies: names, shapes and contents are views of the message's bytes.
//
// Reading follows protobuf's binary format (protobuf.dev/programming-guides/encoding) as protobuf's own parser does: of
// repeated scalars the last counts, repeated sub-messages merge, unknown fields are skipped, packed and unpacked lists
// mix, strings must be UTF-8. Field numbers are those of proto/inference.proto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace npuserve::wire {

enum class ParameterKind { kNone, kBool, kInt64, kString, kDouble, kUint64 };

struct InferParameter {
  std::string_view key;
  ParameterKind kind = ParameterKind::kNone;
  int64_t int64_value = 0;  // kInt64
  std::string_view string_value;
};

// One field of InferTensorContents that has values, in all its pieces, as they lie on the wire.
struct TypedContents {
  struct Piece {
    std::span<const std::byte> bytes;  // the payload of a packed list, or one value's encoding
    uint32_t wire_type = 0;            // 0 varint, 1 fixed 64, 5 fixed 32, 2 a packed list or one element of BYTES
  };
  uint32_t field = 0;  // 1 bool_contents ... 8 bytes_contents
  std::vector<Piece> pieces;
};

struct InferInput {
  std::string_view name;
  std::string_view datatype;
  std::vector<int64_t> shape;
  std::vector<InferParameter> parameters;  // of equal keys the last alone
  bool has_contents = false;
  std::vector<TypedContents> contents;  // by field number
};

struct InferOutput {
  std::string_view name;
  std::vector<InferParameter> parameters;
};

// Reused from call to call: what parse() clears keeps its capacity.
struct InferRequest {
  std::string_view model_name;
  std::string_view model_version;
  std::string_view id;
  std::vector<InferParameter> parameters;
  std::vector<InferInput> inputs;
  std::vector<InferOutput> outputs;
  std::vector<std::span<const std::byte>> raw_input_contents;
};

// False if the bytes are no ModelInferRequest; `request` then holds nothing of use. The views live as long as
// `message`.
bool parse(std::span<const std::byte> message, InferRequest& request);

}  // namespace npuserve::wire
