// Loading, unloading, sizes.
#include "emulator/mdl_load.h"

#include "emulator/arena.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/mdl_model.h"

namespace emulator {
namespace {

void check_given(const char* what, const void* address, size_t bytes, uint64_t needed) {
  if (address == nullptr) return;
  if (bytes < needed) {
    refuse(ACL_ERROR_GE_PARAM_INVALID, std::string(what) + " memory has " + std::to_string(bytes) +
                                           " bytes, the model needs " + std::to_string(needed));
  }
  if (view(address, bytes) == nullptr) {
    refuse(ACL_ERROR_GE_EXEC_MODEL_ADDR_INVALID,
           std::string(what) + " memory is not within one live allocation of device memory");
  }
}

// What every load requires before the file is looked at.
void require_load(const uint32_t* id) {
  require_initialized(ACL_ERROR_GE_EXEC_NOT_INIT);
  require_context();
  require(id != nullptr, ACL_ERROR_INVALID_PARAM, "the pointer to the model id is NULL");
}

void report_sizes(const OmFile& file, size_t* work, size_t* weights) {
  *work = file.metadata.work_bytes;
  *weights = file.metadata.weight_bytes;
}

}  // namespace

uint32_t load_model(const OmFile& file, const GivenMemory& memory) {
  check_given("work", memory.work, memory.work_bytes, file.metadata.work_bytes);
  check_given("weight", memory.weights, memory.weight_bytes, file.metadata.weight_bytes);
  return add_model(
      std::make_shared<LoadedModel>(file, shared_current_context(), memory.work == nullptr, memory.weights == nullptr));
}

}  // namespace emulator

using namespace emulator;  // the definitions below are the C names of the same room

aclError aclmdlLoadFromFile(const char* model_path, uint32_t* model_id) {
  return exported(__func__, [&] {
    require_load(model_id);
    *model_id = load_model(read_om(model_path), {});
  });
}

aclError aclmdlLoadFromMem(const void* model, size_t model_size, uint32_t* model_id) {
  return exported(__func__, [&] {
    require_load(model_id);
    *model_id = load_model(read_om(model, model_size), {});
  });
}

aclError aclmdlLoadFromFileWithMem(const char* model_path, uint32_t* model_id, void* work_ptr, size_t work_size,
                                   void* weight_ptr, size_t weight_size) {
  return exported(__func__, [&] {
    require_load(model_id);
    *model_id = load_model(read_om(model_path), {work_ptr, work_size, weight_ptr, weight_size});
  });
}

aclError aclmdlLoadFromMemWithMem(const void* model, size_t model_size, uint32_t* model_id, void* work_ptr,
                                  size_t work_size, void* weight_ptr, size_t weight_size) {
  return exported(__func__, [&] {
    require_load(model_id);
    *model_id = load_model(read_om(model, model_size), {work_ptr, work_size, weight_ptr, weight_size});
  });
}

aclError aclmdlQuerySize(const char* file_name, size_t* work_size, size_t* weight_size) {
  return exported(__func__, [&] {
    require(work_size != nullptr && weight_size != nullptr, ACL_ERROR_INVALID_PARAM, "a pointer to a size is NULL");
    report_sizes(read_om(file_name), work_size, weight_size);
  });
}

aclError aclmdlQuerySizeFromMem(const void* model, size_t model_size, size_t* work_size, size_t* weight_size) {
  return exported(__func__, [&] {
    require(work_size != nullptr && weight_size != nullptr, ACL_ERROR_INVALID_PARAM, "a pointer to a size is NULL");
    report_sizes(read_om(model, model_size), work_size, weight_size);
  });
}

aclError aclmdlUnload(uint32_t model_id) {
  return exported(__func__, [&] {
    require_initialized(ACL_ERROR_GE_EXEC_NOT_INIT);
    const std::shared_ptr<LoadedModel> model = require_model(model_id);
    model->require_loading_context();
    require(!model->in_flight(), ACL_ERROR_GE_UNLOAD_MODEL, "the model is in use: an execution has not ended");
    remove_model(model_id);
  });
}
