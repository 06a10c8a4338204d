#include "wire/infer_contents.h"

#include <array>
#include <cstring>

namespace npuserve::wire {
namespace {

using core::Dtype;
using enum WireType;

constexpr uint32_t kBytesContents = 8;
constexpr size_t kLengthBytes = 4;  // before an element of BYTES

struct ContentsField {
  WireType type;  // of a single value
  Dtype dtype;    // the widest that it carries
};

// By field number; [0] is none's.
constexpr std::array<ContentsField, kContentsFields + 1> kFields{{
    {},
    {kVarint, Dtype::kBool},
    {kVarint, Dtype::kInt32},
    {kVarint, Dtype::kInt64},
    {kVarint, Dtype::kUint32},
    {kVarint, Dtype::kUint64},
    {kFixed32, Dtype::kFp32},
    {kFixed64, Dtype::kFp64},
    {kBytes, Dtype::kBytes},
}};

// How a field brings its values: as an unknown field does, by a single one, or packed.
enum class Form { kOther, kSingle, kPacked };

Form form_of(const Field& field) {
  const uint32_t number = number_of(field.tag);
  if (number > kContentsFields) return Form::kOther;
  if (type_of(field.tag) == kFields[number].type) return Form::kSingle;
  return type_of(field.tag) == kBytes ? Form::kPacked : Form::kOther;
}

// Writes values of one dtype one after another.
class Writer {
 public:
  Writer(std::byte* to, Dtype dtype) : to_(to), dtype_(dtype), size_bytes_(core::dtype_size_bytes(dtype)) {}

  void put_varint(uint64_t value) {
    if (dtype_ == Dtype::kBool) value = value != 0 ? 1 : 0;
    std::memcpy(to_, &value, size_bytes_);  // the host is little-endian
    to_ += size_bytes_;
  }

  void put_bytes(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(to_, bytes.data(), bytes.size());
    to_ += bytes.size();
  }

  void put_element(std::span<const std::byte> bytes) {
    const auto length = static_cast<uint32_t>(bytes.size());
    std::memcpy(to_, &length, kLengthBytes);
    to_ += kLengthBytes;
    put_bytes(bytes);
  }

 private:
  std::byte* to_;
  Dtype dtype_;
  size_t size_bytes_;
};

void write_single(Writer& writer, const Field& field) {
  switch (type_of(field.tag)) {
    case kVarint:
      return writer.put_varint(field.value);
    case kBytes:
      return writer.put_element(field.bytes);
    default:
      return writer.put_bytes(field.bytes);
  }
}

void write_packed(Writer& writer, const ProtobufReader& reader, const Field& field, WireType type) {
  if (type != kVarint) return writer.put_bytes(field.bytes);
  ProtobufReader values = reader.nested(field);
  uint64_t value = 0;
  while (values.next_varint(value)) writer.put_varint(value);
}

// Counts a packed list's values. False if it is malformed.
bool count_packed(const ProtobufReader& reader, const Field& field, WireType type, size_t& count) {
  if (type != kVarint) {
    const size_t size_bytes = type == kFixed32 ? 4 : 8;
    count += field.bytes.size() / size_bytes;
    return field.bytes.size() % size_bytes == 0;
  }
  ProtobufReader values = reader.nested(field);
  uint64_t value = 0;
  while (values.next_varint(value)) ++count;
  return values.ok();
}

}  // namespace

bool count_contents(ProtobufReader reader, TypedContents& contents) {
  Field field;
  while (reader.next(field)) {
    const Form form = form_of(field);
    if (form == Form::kOther) continue;
    const uint32_t number = number_of(field.tag);
    if (form == Form::kSingle) {
      ++contents.counts[number];
      if (number == kBytesContents) contents.element_bytes += field.bytes.size();
    } else if (!count_packed(reader, field, kFields[number].type, contents.counts[number])) {
      return false;
    }
  }
  return reader.ok();
}

Dtype typical_dtype(uint32_t field) { return kFields[field].dtype; }

bool carries(uint32_t field, Dtype dtype) {
  switch (dtype) {
    case Dtype::kInt8:
    case Dtype::kInt16:
      return kFields[field].dtype == Dtype::kInt32;
    case Dtype::kUint8:
    case Dtype::kUint16:
      return kFields[field].dtype == Dtype::kUint32;
    default:
      return kFields[field].dtype == dtype;
  }
}

Buffer raw_contents(const TypedContents& contents, uint32_t field, Dtype dtype) {
  const size_t count = contents.counts[field];
  const bool elements = dtype == Dtype::kBytes;
  Buffer raw(elements ? contents.element_bytes + count * kLengthBytes : count * core::dtype_size_bytes(dtype));
  raw.resize(raw.capacity());
  Writer writer(raw.data(), dtype);
  for (const auto piece : contents.pieces) {
    ProtobufReader reader(piece);
    Field value;
    while (reader.next(value)) {
      if (number_of(value.tag) != field) continue;
      const Form form = form_of(value);
      if (form == Form::kSingle) write_single(writer, value);
      if (form == Form::kPacked) write_packed(writer, reader, value, kFields[field].type);
    }
  }
  return raw;
}

}  // namespace npuserve::wire
