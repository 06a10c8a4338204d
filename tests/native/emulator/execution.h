// A loaded model with datasets in device memory, as a program would set them up. Models: tests/support/models.py.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "emulator/ascendcl.h"

namespace test {

inline bool no_models() { return std::getenv("NPUSERVE_TEST_MODELS") == nullptr; }

inline std::string model_path(const char* name) {
  return (std::filesystem::path(std::getenv("NPUSERVE_TEST_MODELS")) / name).string() + ".om";
}

inline bool text_has(const std::string& part) { return recent_text().find(part) != std::string::npos; }

// Tensors in one dataset, one block of device memory each.
class Tensors {
 public:
  Tensors() : dataset_(aclmdlCreateDataset()) {}
  ~Tensors() {
    for (aclDataBuffer* const buffer : buffers_) aclDestroyDataBuffer(buffer);
    aclmdlDestroyDataset(dataset_);
    for (void* const block : blocks_) aclrtFree(block);
    aclGetRecentErrMsg();
  }
  Tensors(const Tensors&) = delete;
  Tensors& operator=(const Tensors&) = delete;

  void add(size_t bytes) {
    blocks_.push_back(device_memory(bytes));
    add(blocks_.back(), bytes);
  }
  void add(void* address, size_t bytes) {
    buffers_.push_back(aclCreateDataBuffer(address, bytes));
    aclmdlAddDatasetBuffer(dataset_, buffers_.back());
  }
  aclmdlDataset* dataset() const { return dataset_; }
  aclDataBuffer* buffer(size_t index) const { return buffers_[index]; }
  void* address(size_t index) const { return blocks_[index]; }

 private:
  aclmdlDataset* dataset_;
  std::vector<aclDataBuffer*> buffers_;
  std::vector<void*> blocks_;
};

// identity_b8 (x [-1,4] -> y, batch gears 1 2 4 8) with room for the largest gear.
class Identity {
 public:
  explicit Identity(const char* name = "identity_b8", bool gears = true) {
    REQUIRE(aclmdlLoadFromFile(model_path(name).c_str(), &id) == ACL_SUCCESS);
    inputs.add(8 * 4 * sizeof(float));
    if (gears) inputs.add(sizeof(int32_t));
    outputs.add(8 * 4 * sizeof(float));
  }

  aclError set_batch(uint64_t rows) { return aclmdlSetDynamicBatchSize(id, inputs.dataset(), 1, rows); }
  aclError execute() { return aclmdlExecute(id, inputs.dataset(), outputs.dataset()); }
  aclError execute_async(aclrtStream stream = nullptr) {
    return aclmdlExecuteAsync(id, inputs.dataset(), outputs.dataset(), stream);
  }
  void write(const std::vector<float>& values) {
    const size_t bytes = values.size() * sizeof(float);
    aclrtMemcpy(inputs.address(0), bytes, values.data(), bytes, ACL_MEMCPY_HOST_TO_DEVICE);
  }

  uint32_t id = 0;
  Tensors inputs;
  Tensors outputs;
};

}  // namespace test
