// Element types of tensors at the model's ports, with AscendCL's numbers (aclDataType).
#pragma once

#include <cstddef>
#include <cstdint>
#include <openvino/core/type/element_type.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace emulator {

using Shape = std::vector<int64_t>;

enum class Element : int32_t {
  f32 = 0,
  f16 = 1,
  i8 = 2,
  i32 = 3,
  u8 = 4,
  i16 = 6,
  u16 = 7,
  u32 = 8,
  i64 = 9,
  u64 = 10,
  f64 = 11,
  boolean = 12,
  bf16 = 27,
};

size_t byte_size(Element element);
// REQUIRES: no negative axis.
size_t byte_size(Element element, const Shape& shape);
// nullopt for types that no port can have (strings, 4-bit integers).
std::optional<Element> element_of(ov::element::Type type);
ov::element::Type openvino_type(Element element);
// The name that atc prints and --output_type takes: FP32, INT64.
std::string_view element_name(Element element);
std::optional<Element> element_named(std::string_view name);
std::optional<Element> element_numbered(int32_t number);

}  // namespace emulator
