#include "emulator/model/metadata.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <type_traits>

namespace emulator {
namespace {

// Little-endian numbers; strings and lists behind their length. `fields` below is the one list of what is stored: the
// writer and the reader are both driven by it.
class Writer {
 public:
  template <class T>
  void number(const T& value) {
    const auto* first = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), first, first + sizeof(T));
  }
  void text(const std::string& value) {
    number<uint64_t>(value.size());
    const auto* first = reinterpret_cast<const std::byte*>(value.data());
    bytes_.insert(bytes_.end(), first, first + value.size());
  }
  template <class T, class F>
  void list(const std::vector<T>& values, F each) {
    number<uint64_t>(values.size());
    for (const T& value : values) each(value);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class T>
  void number(T& value) {
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
  }
  void text(std::string& value) {
    const std::span<const std::byte> bytes = take(length());
    value.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  template <class T, class F>
  void list(std::vector<T>& values, F each) {
    values.resize(length());
    for (T& value : values) each(value);
  }
  bool finished() const { return rest_.empty(); }

 private:
  // Every element takes a byte at least, so a length beyond the rest is damage, not a reason to allocate.
  size_t length() {
    uint64_t value = 0;
    number(value);
    if (value > rest_.size()) throw std::runtime_error("the model's metadata ends too early");
    return value;
  }
  std::span<const std::byte> take(size_t count) {
    if (count > rest_.size()) throw std::runtime_error("the model's metadata ends too early");
    const std::span<const std::byte> taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  std::span<const std::byte> rest_;
};

template <class Archive, class Numbers>
void numbers(Archive& archive, Numbers& values) {
  archive.list(values, [&](auto& value) { archive.number(value); });
}

template <class Archive, class T>
void port(Archive& archive, T& value) {
  archive.text(value.name);
  archive.number(value.element);
  numbers(archive, value.dims);
}

template <class Archive, class T>
void gear(Archive& archive, T& value) {
  numbers(archive, value.values);
  archive.list(value.input_shapes, [&](auto& shape) { numbers(archive, shape); });
  archive.list(value.output_shapes, [&](auto& shape) { numbers(archive, shape); });
}

template <class Archive, class T>
void fields(Archive& archive, T& value) {
  archive.list(value.inputs, [&](auto& each) { port(archive, each); });
  archive.list(value.outputs, [&](auto& each) { port(archive, each); });
  archive.number(value.gear_kind);
  archive.list(value.gears, [&](auto& each) { gear(archive, each); });
  archive.number(value.format);
  archive.text(value.precision_mode);
  archive.text(value.soc_version);
  archive.text(value.command_line);
  archive.list(value.operators, [&](auto& each) {
    archive.text(each.name);
    archive.text(each.type);
    archive.text(each.precision);
  });
  archive.number(value.weight_bytes);
  archive.number(value.work_bytes);
}

bool shapes_are_static(const std::vector<Shape>& shapes) {
  return std::all_of(shapes.begin(), shapes.end(), [](const Shape& shape) {
    return std::all_of(shape.begin(), shape.end(), [](int64_t axis) { return axis >= 0; });
  });
}

void check(const Metadata& metadata) {
  const auto known = [](const Port& each) {
    return element_numbered(static_cast<int32_t>(each.element)).has_value() && each.dims.size() <= 128;
  };
  bool sound = metadata.gear_kind <= GearKind::dims && !metadata.gears.empty();
  sound = sound && std::all_of(metadata.inputs.begin(), metadata.inputs.end(), known);
  sound = sound && std::all_of(metadata.outputs.begin(), metadata.outputs.end(), known);
  for (const Gear& each : metadata.gears) {
    sound = sound && each.input_shapes.size() == metadata.inputs.size() &&
            each.output_shapes.size() == metadata.outputs.size() && shapes_are_static(each.input_shapes) &&
            shapes_are_static(each.output_shapes);
  }
  if (!sound) throw std::runtime_error("the model's metadata contradicts itself");
  // Throw if a gear's bytes overflow.
  for (size_t i = 0; i < metadata.inputs.size(); ++i) (void)metadata.input_bytes(i);
  for (size_t i = 0; i < metadata.outputs.size(); ++i) (void)metadata.output_bytes(i);
}

size_t largest(const std::vector<Gear>& gears, const std::function<size_t(const Gear&)>& bytes) {
  size_t result = 0;
  for (const Gear& each : gears) result = std::max(result, bytes(each));
  return result;
}

}  // namespace

size_t Metadata::largest_gear() const {
  const auto product = [](const Gear& each) {
    return std::accumulate(each.values.begin(), each.values.end(), 1.0, std::multiplies<>());  // 64 bits may overflow
  };
  const auto found = std::max_element(
      gears.begin(), gears.end(), [&](const Gear& left, const Gear& right) { return product(left) < product(right); });
  return static_cast<size_t>(found - gears.begin());
}

size_t Metadata::input_bytes(size_t index) const {
  return largest(gears,
                 [&](const Gear& each) { return byte_size(inputs.at(index).element, each.input_shapes.at(index)); });
}

size_t Metadata::output_bytes(size_t index) const {
  return largest(gears,
                 [&](const Gear& each) { return byte_size(outputs.at(index).element, each.output_shapes.at(index)); });
}

std::vector<std::byte> encode(const Metadata& metadata) {
  check(metadata);
  Writer writer;
  fields(writer, metadata);
  return writer.take();
}

Metadata decode(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  Metadata metadata;
  fields(reader, metadata);
  if (!reader.finished()) throw std::runtime_error("the model's metadata is longer than its fields");
  check(metadata);
  return metadata;
}

}  // namespace emulator
