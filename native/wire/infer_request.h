// A ModelInferRequest read where it lies: names, shapes and contents are views of the message's bytes.
//
// Reading follows protobuf's binary format (protobuf.dev/programming-guides/encoding) as protobuf's own parser does: of
// repeated scalars the last counts, repeated sub-messages merge, unknown fields are skipped, packed and unpacked lists
// mix, strings must be UTF-8. Field numbers are those of proto/inference.proto.
#pragma once

#include <array>
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
  int64_t int64_value = 0;    // kInt64
  uint64_t uint64_value = 0;  // kUint64
  std::string_view string_value;
};

// The fields of InferTensorContents, 1 bool_contents to 8 bytes_contents.
inline constexpr uint32_t kContentsFields = 8;

// Typed contents: left as they are, in as many sub-messages as came, but well formed and counted.
struct TypedContents {
  std::vector<std::span<const std::byte>> pieces;    // encoded InferTensorContents
  std::array<size_t, kContentsFields + 1> counts{};  // values by field number; [0] is none's
  size_t element_bytes = 0;                          // of all elements of bytes_contents
};

struct InferInput {
  std::string_view name;
  std::string_view datatype;
  std::vector<int64_t> shape;
  std::vector<InferParameter> parameters;  // of equal keys the last alone
  bool has_contents = false;
  TypedContents contents;
};

struct InferOutput {
  std::string_view name;
  std::vector<InferParameter> parameters;
};

// The most inputs, outputs, raw contents, parameters of one owner, dimensions or pieces of contents that are kept: what
// is kept takes up to a hundred times the bytes that it takes on the wire, and names are compared pair by pair.
inline constexpr size_t kMostParts = 256;

// Reused from call to call: what parse() clears keeps its capacity.
struct InferRequest {
  std::string_view model_name;
  std::string_view model_version;
  std::string_view id;
  std::vector<InferParameter> parameters;
  std::vector<InferInput> inputs;
  std::vector<InferOutput> outputs;
  std::vector<std::span<const std::byte>> raw_input_contents;
  bool has_more = false;  // more of something than kMostParts, the rest of which was left out

  std::vector<InferInput> spare_inputs;  // cleared inputs of earlier messages, for their capacity
};

// Forgets what it holds but its capacity.
void clear(InferRequest& request);

// An empty input, with the capacity of an earlier one if there is any.
InferInput take_spare_input(InferRequest& request);

// False if the bytes are no ModelInferRequest; `request` then holds nothing of use. The views live as long as
// `message`.
bool parse(std::span<const std::byte> message, InferRequest& request);

}  // namespace npuserve::wire
