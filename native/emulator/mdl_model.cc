#include "emulator/mdl_model.h"

#include <map>

#include "emulator/arena.h"
#include "emulator/errors.h"
#include "emulator/lifetime.h"
#include "emulator/settings.h"

namespace emulator {
namespace {

struct Models {
  std::mutex mutex;
  std::map<uint32_t, std::shared_ptr<LoadedModel>> loaded;  // guarded by mutex, as `next`
  uint32_t next = 1;                                        // ids are not used twice
};

Models& models() {
  static Models table;
  return table;
}

aclError code_of(OmFault fault) {
  switch (fault) {
    case OmFault::unreadable:
      return ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID;
    case OmFault::wrong_length:
      return ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID;
    case OmFault::vendor_made:
      return ACL_ERROR_GE_LOAD_MODEL;
    case OmFault::damaged:
      return ACL_ERROR_GE_EXEC_LOAD_MODEL_PARTITION_FAILED;
    case OmFault::not_a_model:
      break;
  }
  return ACL_ERROR_GE_FAILURE;
}

template <class F>
auto with_om_codes(F body) {
  try {
    return body();
  } catch (const OmError& error) {
    refuse(code_of(error.fault()), error.what());
  }
}

size_t gear_bytes(const Metadata& model) { return sizeof(int32_t) * model.gears.front().values.size(); }

std::shared_ptr<const Program> compile(const OmFile& file) {
  const std::string& chip = settings().soc_name;
  if (file.metadata.soc_version != chip) {
    refuse(ACL_ERROR_GE_FAILURE, "the OM was compiled for " + file.metadata.soc_version + ", the device is an " + chip +
                                     ": compile it with --soc_version=" + chip);
  }
  return with_om_codes([&] { return load_program(file, settings().inference_threads); });
}

}  // namespace

Signature::Signature(const Metadata& model) : metadata(model) {
  for (size_t i = 0; i < model.inputs.size(); ++i) inputs.push_back({model.inputs[i], model.input_bytes(i)});
  for (size_t i = 0; i < model.outputs.size(); ++i) outputs.push_back({model.outputs[i], model.output_bytes(i)});
  if (has_gears()) {
    const auto values = static_cast<int64_t>(model.gears.front().values.size());
    inputs.push_back({{ACL_DYNAMIC_TENSOR_NAME, Element::i32, {values}}, gear_bytes(model)});
  }
}

ModelMemory::ModelMemory(int device, size_t bytes) : address_(bytes == 0 ? nullptr : allocate(device, bytes)) {}

ModelMemory::~ModelMemory() {
  try {
    if (address_ != nullptr) release(address_);
  } catch (const Refusal&) {  // the device was reset or finalized, which freed the memory
    address_ = nullptr;
  }
}

LoadedModel::LoadedModel(const OmFile& file, std::shared_ptr<Context> context, bool own_work, bool own_weights)
    : signature_(file.metadata),
      context_(std::move(context)),
      work_(context_->device(), own_work ? file.metadata.work_bytes : 0),
      weights_(context_->device(), own_weights ? file.metadata.weight_bytes : 0),
      execution_(compile(file)),
      shape_gear_(file.metadata.largest_gear()) {}

Context& LoadedModel::require_loading_context() const {
  Context& current = require_context();
  if (&current != context_.get()) {
    refuse(ACL_ERROR_RT_MODEL_CONTEXT,
           "a model is loaded, executed and unloaded under one context; the thread's current context is another");
  }
  return current;
}

bool LoadedModel::in_flight() const {
  const std::scoped_lock lock(mutex_);
  return flights_ > 0;
}

LoadedModel::Flight::Flight(std::shared_ptr<LoadedModel> model, Use use, const void* stream)
    : model_(std::move(model)) {
  const std::scoped_lock lock(model_->mutex_);
  if (model_->use_ && *model_->use_ != use) {
    refuse(
        ACL_ERROR_GE_FAILURE,
        "not support mix execute: one model id is executed either synchronously or asynchronously, for its whole life");
  }
  if (model_->flights_ > 0 && model_->stream_ != stream) {
    refuse(ACL_ERROR_GE_FAILURE,
           "one model id must not execute on two streams (or threads) at once: its last execution has not ended");
  }
  model_->use_ = use;
  model_->stream_ = stream;
  ++model_->flights_;
}

LoadedModel::Flight::~Flight() {
  const std::scoped_lock lock(model_->mutex_);
  --model_->flights_;
}

uint32_t add_model(std::shared_ptr<LoadedModel> model) {
  static const bool hooked = [] {
    on_finalize([] {
      std::map<uint32_t, std::shared_ptr<LoadedModel>> ended;
      const std::scoped_lock lock(models().mutex);
      ended.swap(models().loaded);
    });
    return true;
  }();
  static_cast<void>(hooked);
  const std::scoped_lock lock(models().mutex);
  const uint32_t id = models().next++;
  models().loaded.emplace(id, std::move(model));
  return id;
}

std::shared_ptr<LoadedModel> require_model(uint32_t id) {
  const std::scoped_lock lock(models().mutex);
  const auto found = models().loaded.find(id);
  if (found == models().loaded.end()) {
    refuse(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID, "model id " + std::to_string(id) + " is not loaded");
  }
  return found->second;
}

void remove_model(uint32_t id) {
  std::shared_ptr<LoadedModel> ended;  // destroyed after the lock is given back
  const std::scoped_lock lock(models().mutex);
  const auto found = models().loaded.find(id);
  if (found == models().loaded.end()) return;
  ended = std::move(found->second);
  models().loaded.erase(found);
}

std::shared_ptr<Dataset> require_dataset(const aclmdlDataset* handle, const char* role) {
  const std::string name = std::string("the ") + role + " dataset";
  if (handle == nullptr) refuse(ACL_ERROR_INVALID_PARAM, name + " is NULL");
  std::shared_ptr<Dataset> dataset = find_dataset(handle);
  if (!dataset) refuse(ACL_ERROR_INVALID_PARAM, name + " is no live dataset");
  return dataset;
}

std::shared_ptr<DataBuffer> require_buffer(const Dataset& dataset, size_t index, const char* role) {
  const std::string name = std::string(role) + " tensor " + std::to_string(index);
  if (index >= dataset.buffers.size() || dataset.buffers[index] == nullptr) {
    refuse(ACL_ERROR_INVALID_PARAM, name + " has no data buffer");
  }
  std::shared_ptr<DataBuffer> buffer = find_buffer(dataset.buffers[index]);
  if (!buffer) refuse(ACL_ERROR_INVALID_PARAM, name + ": its data buffer was destroyed");
  return buffer;
}

OmFile read_om_bytes(std::shared_ptr<const OmBytes> bytes) {
  return with_om_codes([&] { return parse_om(std::move(bytes)); });
}

OmFile read_om(const char* path) {
  require(path != nullptr, ACL_ERROR_INVALID_PARAM, "the model path is NULL");
  return read_om_bytes(with_om_codes([&] { return OmBytes::read(path); }));
}

OmFile read_om(const void* data, size_t size) {
  require(data != nullptr && size > 0, ACL_ERROR_INVALID_PARAM, "the model memory is NULL or empty");
  return read_om_bytes(OmBytes::copy(data, size));
}

}  // namespace emulator
