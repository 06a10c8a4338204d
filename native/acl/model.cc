#include "acl/model.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "acl/call.h"

namespace npuserve::acl {

Model::Model(Runtime& runtime, std::uint32_t id)
    : model_(runtime, id,
             [](Runtime& owner, std::uint32_t loaded) noexcept {
               release(owner, owner.functions().aclmdlUnload, loaded);
             }),
      description_(describe(runtime, id)) {}

std::optional<ModelSizes> Model::sizes_of(Runtime& runtime, const std::string& path) {
  const FunctionTable& functions = runtime.functions();
  if (!functions.aclmdlQuerySize || !functions.aclmdlLoadFromFileWithMem) return std::nullopt;
  ModelSizes sizes;
  check(runtime, functions.aclmdlQuerySize, path.c_str(), &sizes.work_bytes, &sizes.weight_bytes);
  return sizes;
}

Model Model::load_from_file(Runtime& runtime, const std::string& path) {
  std::uint32_t id = 0;
  check(runtime, runtime.functions().aclmdlLoadFromFile, path.c_str(), &id);
  return {runtime, id};
}

Model Model::load_from_file(Runtime& runtime, const std::string& path, const ModelMemory& memory) {
  const auto address = [](const DeviceMemory* given) { return given == nullptr ? nullptr : given->data(); };
  const auto size = [](const DeviceMemory* given) { return given == nullptr ? 0 : given->size_bytes(); };
  std::uint32_t id = 0;
  check(runtime, runtime.functions().aclmdlLoadFromFileWithMem, path.c_str(), &id, address(memory.work),
        size(memory.work), address(memory.weights), size(memory.weights));
  return {runtime, id};
}

std::size_t Model::gear_input(const char* call) const {
  if (!description_.gear_input) {
    throw Error(call, ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, "the model was compiled without gears");
  }
  return *description_.gear_input;
}

void Model::set_dynamic_batch_size(Dataset& inputs, std::uint64_t batch_size) const {
  const auto& function = model_.runtime().functions().aclmdlSetDynamicBatchSize;
  check(model_.runtime(), function, id(), inputs.handle(), gear_input(function.name), batch_size);
}

void Model::set_input_dynamic_dims(Dataset& inputs, const std::vector<std::int64_t>& dims) const {
  const auto& function = model_.runtime().functions().aclmdlSetInputDynamicDims;
  aclmdlIODims gear{};
  if (dims.size() > std::size(gear.dims)) {
    throw Error(function.name, ACL_ERROR_INVALID_PARAM,
                std::to_string(dims.size()) + " dimensions; at most " + std::to_string(std::size(gear.dims)));
  }
  gear.dimCount = dims.size();
  std::ranges::copy(dims, gear.dims);
  check(model_.runtime(), function, id(), inputs.handle(), gear_input(function.name), &gear);
}

void Model::execute_async(const Dataset& inputs, Dataset& outputs, const Stream& stream) const {
  check(model_.runtime(), model_.runtime().functions().aclmdlExecuteAsync, id(), inputs.handle(), outputs.handle(),
        stream.handle());
}

}  // namespace npuserve::acl
