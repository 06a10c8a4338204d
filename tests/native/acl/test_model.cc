// Models: loading, what they say of themselves, gears, execution. NPUSERVE_TEST_MODELS is a folder with the OMs that
// tests/support/models.py describes and builds.
#include "acl/model.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "acl/context.h"
#include "acl/copy.h"
#include "acl/errors.h"
#include "acl/memory.h"
#include "device.h"

using device_test::code_of;
using device_test::Fault;
using device_test::open_runtime;
using npuserve::acl::Context;
using npuserve::acl::copy;
using npuserve::acl::CopyKind;
using npuserve::acl::current_output_dims;
using npuserve::acl::DataBuffer;
using npuserve::acl::Dataset;
using npuserve::acl::DeviceMemory;
using npuserve::acl::Model;
using npuserve::acl::ModelDescription;
using npuserve::acl::Runtime;
using npuserve::acl::Stream;
using npuserve::acl::TensorDescription;
using npuserve::core::Dtype;

namespace {

using Dims = std::vector<std::int64_t>;

constexpr int kUnknownModel = 145003;
constexpr int kNoSuchGear = 145013;

doctest::skip needs_models() {
  return doctest::skip(device_test::library_file() == nullptr || std::getenv("NPUSERVE_TEST_MODELS") == nullptr);
}

std::string model_file(const char* name) {
  return std::filesystem::path(std::getenv("NPUSERVE_TEST_MODELS")) / (std::string(name) + ".om");
}

// Device memory and datasets for one execution of a model at its largest gear.
class Tensors {
 public:
  explicit Tensors(Runtime& runtime, const ModelDescription& description)
      : runtime_(runtime), inputs_(runtime), outputs_(runtime) {
    for (const TensorDescription& input : description.inputs) add(input.size_bytes, inputs_);
    for (const TensorDescription& output : description.outputs) add(output.size_bytes, outputs_);
  }

  [[nodiscard]] Dataset& inputs() { return inputs_; }
  [[nodiscard]] Dataset& outputs() { return outputs_; }

  // `tensor` counts inputs, then outputs.
  template <class T>
  void write(std::size_t tensor, const std::vector<T>& values) const {
    copy(runtime_, memory_[tensor].data(), memory_[tensor].size_bytes(), values.data(), values.size() * sizeof(T),
         CopyKind::kHostToDevice);
  }

  [[nodiscard]] std::vector<float> read(std::size_t tensor, std::size_t count) const {
    std::vector<float> values(count);
    copy(runtime_, values.data(), count * sizeof(float), memory_[tensor].data(), count * sizeof(float),
         CopyKind::kDeviceToHost);
    return values;
  }

 private:
  void add(std::size_t size_bytes, Dataset& dataset) {
    memory_.emplace_back(runtime_, size_bytes);
    dataset.add(DataBuffer(runtime_, memory_.back().data(), size_bytes));
  }

  // In this order: the datasets, which point to the memory, go first.
  Runtime& runtime_;
  std::vector<DeviceMemory> memory_;
  Dataset inputs_;
  Dataset outputs_;
};

// A device with one model on it.
struct Loaded {
  explicit Loaded(const char* name)
      : runtime(open_runtime()),
        context(runtime, 0),
        stream(*runtime),
        model(Model::load_from_file(*runtime, model_file(name))) {}

  std::shared_ptr<Runtime> runtime;
  Context context;
  Stream stream;
  Model model;
};

}  // namespace

TEST_CASE("a static model tells its tensors" * needs_models()) {
  const Loaded loaded("identity_static");
  const ModelDescription& description = loaded.model.description();
  REQUIRE(description.inputs.size() == 1);
  CHECK(description.inputs[0].name == "x");
  CHECK(description.inputs[0].dtype == Dtype::kFp32);
  CHECK(description.inputs[0].dims == Dims{4, 4});
  CHECK(description.inputs[0].size_bytes == 64);
  REQUIRE(description.outputs.size() == 1);
  CHECK(description.outputs[0].name.ends_with(":y"));
  CHECK(description.outputs[0].dims == Dims{4, 4});
  CHECK_FALSE(description.gear_input);
  CHECK(description.dynamic_batch_gears.empty());
  CHECK(description.dynamic_dims_gears.empty());
}

TEST_CASE("a model with batch gears tells them and the input that takes them" * needs_models()) {
  const Loaded loaded("add_mul");
  const ModelDescription& description = loaded.model.description();
  REQUIRE(description.inputs.size() == 3);
  CHECK(description.gear_input == 2);
  CHECK(description.inputs[2].name == "ascend_mbatch_shape_data");
  CHECK(description.inputs[2].dtype == Dtype::kInt32);
  CHECK(description.inputs[2].size_bytes == 4);
  CHECK(description.inputs[1].name == "b");
  CHECK(description.inputs[1].dims == Dims{-1, 4});
  CHECK(description.inputs[1].size_bytes == 8 * 4 * 4);
  REQUIRE(description.outputs.size() == 2);
  CHECK(description.outputs[1].name.ends_with(":product"));
  CHECK(description.outputs[1].dims == Dims{8, 4});
  CHECK(description.dynamic_batch_gears == std::vector<std::uint64_t>{1, 2, 4, 8});
  CHECK(description.dynamic_dims_gears.empty());
}

TEST_CASE("a model with shape gears tells each as the full shapes of all inputs" * needs_models()) {
  const Loaded loaded("tokens");
  const ModelDescription& description = loaded.model.description();
  CHECK(description.gear_input == 2);
  CHECK(description.inputs[0].dtype == Dtype::kInt64);
  CHECK(description.inputs[0].dims == Dims{-1, -1});
  CHECK(description.inputs[0].size_bytes == 8 * 16 * 8);
  CHECK(description.outputs[0].dims == Dims{8, 16, 3});
  CHECK(description.dynamic_batch_gears.empty());
  REQUIRE(description.dynamic_dims_gears.size() == 8);
  CHECK(description.dynamic_dims_gears.front() == Dims{1, 8, 1, 8});
  CHECK(description.dynamic_dims_gears.back() == Dims{8, 16, 8, 16});
}

TEST_CASE("a half-precision model tells that its tensors are" * needs_models()) {
  const Loaded loaded("add_mul_fp16");
  CHECK(loaded.model.description().inputs[0].dtype == Dtype::kFp16);
  CHECK(loaded.model.description().outputs[0].dtype == Dtype::kFp16);
}

TEST_CASE("a static model computes what its graph says" * needs_models()) {
  const Loaded loaded("identity_static");
  Tensors tensors(*loaded.runtime, loaded.model.description());
  std::vector<float> x(16);
  std::iota(x.begin(), x.end(), 0.5F);
  tensors.write(0, x);
  loaded.model.execute_async(tensors.inputs(), tensors.outputs(), loaded.stream);
  loaded.stream.synchronize();
  CHECK(tensors.read(1, 16) == x);
}

TEST_CASE("each batch gear runs that many rows" * needs_models()) {
  const Loaded loaded("add_mul");
  Tensors tensors(*loaded.runtime, loaded.model.description());
  for (const std::uint64_t rows : loaded.model.description().dynamic_batch_gears) {
    const auto a = static_cast<float>(rows);
    tensors.write(0, std::vector<float>(rows * 4, a));
    tensors.write(1, std::vector<float>(rows * 4, 0.25F));
    loaded.model.set_dynamic_batch_size(tensors.inputs(), rows);
    const Dims dims = {static_cast<std::int64_t>(rows), 4};
    CHECK(current_output_dims(*loaded.runtime, loaded.model.id()) == std::vector<Dims>{dims, dims});
    loaded.model.execute_async(tensors.inputs(), tensors.outputs(), loaded.stream);
    loaded.stream.synchronize();
    CHECK(tensors.read(3, rows * 4) == std::vector<float>(rows * 4, a + 0.25F));
    CHECK(tensors.read(4, rows * 4) == std::vector<float>(rows * 4, a * 0.25F));
  }
}

TEST_CASE("each shape gear runs at its shape" * needs_models()) {
  const Loaded loaded("tokens");
  Tensors tensors(*loaded.runtime, loaded.model.description());
  for (const Dims& gear : loaded.model.description().dynamic_dims_gears) {
    const auto elements = static_cast<std::size_t>(gear[0] * gear[1]);
    tensors.write(0, std::vector<std::int64_t>(elements, 7));
    tensors.write(1, std::vector<std::int64_t>(elements, 1));
    loaded.model.set_input_dynamic_dims(tensors.inputs(), gear);
    CHECK(current_output_dims(*loaded.runtime, loaded.model.id()) == std::vector<Dims>{{gear[0], gear[1], 3}});
    loaded.model.execute_async(tensors.inputs(), tensors.outputs(), loaded.stream);
    loaded.stream.synchronize();
    const std::vector<float> logits = tensors.read(3, elements * 3);
    CHECK(logits[0] == 7.0F);
    CHECK(logits[elements * 3 - 2] == 1.0F);
    CHECK(logits[elements * 3 - 1] == 7.0F * static_cast<float>(gear[1]));  // the sum over the row's length
  }
}

TEST_CASE("what is not a gear is refused" * needs_models()) {
  const Loaded batch("add_mul");
  Tensors tensors(*batch.runtime, batch.model.description());
  CHECK(code_of([&] { batch.model.set_dynamic_batch_size(tensors.inputs(), 3); }) == kNoSuchGear);
  const Model dims = Model::load_from_file(*batch.runtime, model_file("tokens"));
  Tensors dims_tensors(*batch.runtime, dims.description());
  CHECK(code_of([&] { dims.set_input_dynamic_dims(dims_tensors.inputs(), {2, 9, 2, 9}); }) == kNoSuchGear);
  CHECK(code_of([&] { dims.set_input_dynamic_dims(dims_tensors.inputs(), Dims(129, 1)); }) == 100000);
}

TEST_CASE("a model without gears takes none" * needs_models()) {
  const Loaded loaded("identity_static");
  Tensors tensors(*loaded.runtime, loaded.model.description());
  CHECK(code_of([&] { loaded.model.set_dynamic_batch_size(tensors.inputs(), 2); }) == kNoSuchGear);
  CHECK(code_of([&] { loaded.model.set_input_dynamic_dims(tensors.inputs(), {4, 4}); }) == kNoSuchGear);
}

TEST_CASE("a file that is not there, or is no OM, is an error of the load" * needs_models()) {
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  CHECK(code_of([&] { Model::load_from_file(*runtime, "/nowhere/model.om"); }) == 145002);
  CHECK(code_of([&] { Model::load_from_file(*runtime, "/etc/hostname"); }) == 145006);
}

TEST_CASE("a model is unloaded once, however often it moves" * needs_models()) {
  Loaded loaded("identity_static");
  {
    Model moved(std::move(loaded.model));
    const std::uint32_t id = moved.id();
    loaded.model = Model::load_from_file(*loaded.runtime, model_file("identity_static"));
    CHECK(loaded.model.id() != id);
    moved = std::move(loaded.model);
    CHECK(code_of([&] { static_cast<void>(current_output_dims(*loaded.runtime, id)); }) ==
          kUnknownModel);  // overwritten, so unloaded
  }
  CHECK(loaded.runtime->failed_releases() == 0);
}

TEST_CASE("a model whose description cannot be read is unloaded again" * needs_models()) {
  const Fault fault("aclmdlGetDesc:1:500002;aclmdlUnload:2:500000");
  const auto runtime = open_runtime();
  const Context context(runtime, 0);
  CHECK(code_of([&] { Model::load_from_file(*runtime, model_file("identity_static")); }) == 500002);
  CHECK(runtime->failed_releases() == 0);
  {
    const Model model = Model::load_from_file(*runtime, model_file("identity_static"));
  }
  CHECK(runtime->failed_releases() == 1);  // the second unload is the one that fails: so there was a first
}

TEST_CASE("an execution that the driver refuses, or that fails on the device, is an error" * needs_models()) {
  const Fault fault("aclmdlExecuteAsync:1:507000;aclmdlExecuteAsync:2:507011:sync");
  const Loaded loaded("identity_static");
  Tensors tensors(*loaded.runtime, loaded.model.description());
  tensors.write(0, std::vector<float>(16, 1.0F));
  const auto execute = [&] { loaded.model.execute_async(tensors.inputs(), tensors.outputs(), loaded.stream); };
  CHECK(code_of(execute) == 507000);
  CHECK(code_of(execute) == 0);
  CHECK(code_of([&] { loaded.stream.synchronize(); }) == 507011);
  CHECK(code_of(execute) == 0);
  CHECK(code_of([&] { loaded.stream.synchronize(); }) == 0);
}
