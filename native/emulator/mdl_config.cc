// Loading by a configuration handle.
#include <cstring>
#include <memory>

#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/handles.h"
#include "emulator/lifetime.h"
#include "emulator/mdl_load.h"
#include "emulator/mdl_model.h"

namespace {

using namespace emulator;  // the definitions below are the C names of the same room

struct LoadConfig {
  int32_t priority = 0;
  size_t load_type = 0;
  std::string path;
  void* model = nullptr;
  size_t model_bytes = 0;
  GivenMemory memory;
};

// The vendor's load types.
constexpr size_t kFile = 1;
constexpr size_t kFileWithMemory = 2;  // 3 is memory
constexpr size_t kMemoryWithMemory = 4;

HandleTable<LoadConfig>& configs() {
  static HandleTable<LoadConfig> table;
  return table;
}

std::shared_ptr<LoadConfig> require_config(const aclmdlConfigHandle* handle) {
  require(handle != nullptr, ACL_ERROR_INVALID_PARAM, "the configuration handle is NULL");
  std::shared_ptr<LoadConfig> config = configs().find(handle);
  require(config != nullptr, ACL_ERROR_INVALID_PARAM, "the configuration handle was destroyed");
  return config;
}

template <class T>
void assign(T& target, const void* value, size_t size) {
  require(size == sizeof(T), ACL_ERROR_INVALID_PARAM, "the value's size is not that of the attribute");
  std::memcpy(static_cast<void*>(std::addressof(target)), value, sizeof(T));
}

void set_priority(LoadConfig& config, const void* value, size_t size) {
  int32_t priority = 0;
  assign(priority, value, size);
  require(priority >= 0 && priority <= 7, ACL_ERROR_INVALID_PARAM, "the priority must be 0 to 7");
  config.priority = priority;
}

void set_load_type(LoadConfig& config, const void* value, size_t size) {
  size_t type = 0;
  assign(type, value, size);
  require(type >= kFile && type <= kMemoryWithMemory, ACL_ERROR_INVALID_PARAM,
          "the load type must be 1 to 4 (the emulator has no queues)");
  config.load_type = type;
}

void set_path(LoadConfig& config, const void* value, size_t size) {
  const char* path = nullptr;
  assign(path, value, size);
  require(path != nullptr, ACL_ERROR_INVALID_PARAM, "the model path is NULL");
  config.path = path;
}

void set_option(LoadConfig& config, aclmdlConfigAttr attr, const void* value, size_t size) {
  switch (attr) {
    case ACL_MDL_PRIORITY_INT32:
      return set_priority(config, value, size);
    case ACL_MDL_LOAD_TYPE_SIZET:
      return set_load_type(config, value, size);
    case ACL_MDL_PATH_PTR:
      return set_path(config, value, size);
    case ACL_MDL_MEM_ADDR_PTR:
      return assign(config.model, value, size);
    case ACL_MDL_MEM_SIZET:
      return assign(config.model_bytes, value, size);
    case ACL_MDL_WEIGHT_ADDR_PTR:
      return assign(config.memory.weights, value, size);
    case ACL_MDL_WEIGHT_SIZET:
      return assign(config.memory.weight_bytes, value, size);
    case ACL_MDL_WORKSPACE_ADDR_PTR:
      return assign(config.memory.work, value, size);
    case ACL_MDL_WORKSPACE_SIZET:
      return assign(config.memory.work_bytes, value, size);
    default:
      refuse(ACL_ERROR_INVALID_PARAM, "attribute " + std::to_string(attr) + " is not supported by the emulator");
  }
}

uint32_t load(const LoadConfig& config) {
  const bool from_file = config.load_type == kFile || config.load_type == kFileWithMemory;
  const bool with_memory = config.load_type == kFileWithMemory || config.load_type == kMemoryWithMemory;
  require(config.load_type != 0, ACL_ERROR_INVALID_PARAM, "attribute ACL_MDL_LOAD_TYPE_SIZET is mandatory");
  require(!from_file || !config.path.empty(), ACL_ERROR_INVALID_PARAM,
          "attribute ACL_MDL_PATH_PTR is mandatory for this load type");
  require(from_file || (config.model != nullptr && config.model_bytes > 0), ACL_ERROR_INVALID_PARAM,
          "attributes ACL_MDL_MEM_ADDR_PTR and ACL_MDL_MEM_SIZET are mandatory for this load type");
  const OmFile file = from_file ? read_om(config.path.c_str()) : read_om(config.model, config.model_bytes);
  return load_model(file, with_memory ? config.memory : GivenMemory{});
}

}  // namespace

aclmdlConfigHandle* aclmdlCreateConfigHandle(void) {
  return exported_value<aclmdlConfigHandle*>(__func__, nullptr, [] {
    return static_cast<aclmdlConfigHandle*>(configs().create(std::make_shared<LoadConfig>()));
  });
}

aclError aclmdlDestroyConfigHandle(aclmdlConfigHandle* handle) {
  return exported(__func__, [&] {
    require_config(handle);
    configs().destroy(handle);
  });
}

aclError aclmdlSetConfigOpt(aclmdlConfigHandle* handle, aclmdlConfigAttr attr, const void* attr_value,
                            size_t value_size) {
  return exported(__func__, [&] {
    const std::shared_ptr<LoadConfig> config = require_config(handle);
    require(attr_value != nullptr, ACL_ERROR_INVALID_PARAM, "the attribute's value is NULL");
    set_option(*config, attr, attr_value, value_size);
  });
}

aclError aclmdlLoadWithConfig(const aclmdlConfigHandle* handle, uint32_t* model_id) {
  return exported(__func__, [&] {
    require_initialized(ACL_ERROR_GE_EXEC_NOT_INIT);
    require_context();
    require(model_id != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the model id is NULL");
    *model_id = load(*require_config(handle));
  });
}
