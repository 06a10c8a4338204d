#include "emulator/model/element.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace emulator {
namespace {

struct Row {
  Element element;
  std::string_view name;
  ov::element::Type type;
};

const std::array<Row, 13>& rows() {
  static const std::array<Row, 13> table{{
      {Element::f32, "FP32", ov::element::f32},
      {Element::f16, "FP16", ov::element::f16},
      {Element::i8, "INT8", ov::element::i8},
      {Element::i32, "INT32", ov::element::i32},
      {Element::u8, "UINT8", ov::element::u8},
      {Element::i16, "INT16", ov::element::i16},
      {Element::u16, "UINT16", ov::element::u16},
      {Element::u32, "UINT32", ov::element::u32},
      {Element::i64, "INT64", ov::element::i64},
      {Element::u64, "UINT64", ov::element::u64},
      {Element::f64, "DOUBLE", ov::element::f64},
      {Element::boolean, "BOOL", ov::element::boolean},
      {Element::bf16, "BF16", ov::element::bf16},
  }};
  return table;
}

const Row& row(Element element) {
  return *std::find_if(rows().begin(), rows().end(), [&](const Row& each) { return each.element == element; });
}

template <class Predicate>
std::optional<Element> search(Predicate matches) {
  const auto found = std::find_if(rows().begin(), rows().end(), matches);
  return found == rows().end() ? std::nullopt : std::optional(found->element);
}

}  // namespace

size_t byte_size(Element element) { return row(element).type.size(); }

size_t byte_size(Element element, const Shape& shape) {
  size_t bytes = byte_size(element);
  for (const int64_t axis : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(axis), &bytes)) {
      throw std::overflow_error("a tensor's shape has more bytes than 64 bits count");
    }
  }
  return bytes;
}

std::optional<Element> element_of(ov::element::Type type) {
  return search([&](const Row& each) { return each.type == type; });
}

ov::element::Type openvino_type(Element element) { return row(element).type; }

std::string_view element_name(Element element) { return row(element).name; }

std::optional<Element> element_named(std::string_view name) {
  return search([&](const Row& each) { return each.name == name; });
}

std::optional<Element> element_numbered(int32_t number) {
  return search([&](const Row& each) { return static_cast<int32_t>(each.element) == number; });
}

}  // namespace emulator
