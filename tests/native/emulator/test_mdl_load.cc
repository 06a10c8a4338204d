#include <fstream>
#include <iterator>

#include "emulator/execution.h"

TEST_SUITE_BEGIN("mdl_load" * doctest::skip(test::no_models()));

namespace {

std::vector<char> file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

size_t free_memory() {
  size_t free_bytes = 0;
  size_t total = 0;
  aclrtGetMemInfo(ACL_HBM_MEM, &free_bytes, &total);
  return free_bytes;
}

}  // namespace

TEST_CASE("loading needs aclInit, a context, a path and a place for the id") {
  const std::string path = test::model_path("tokens");
  uint32_t id = 0;
  CHECK(aclmdlLoadFromFile(path.c_str(), &id) == ACL_ERROR_GE_EXEC_NOT_INIT);
  {
    const test::Library library;
    CHECK(aclmdlLoadFromFile(path.c_str(), &id) == ACL_ERROR_RT_CONTEXT_NULL);
  }
  const test::Device device;
  CHECK(aclmdlLoadFromFile(nullptr, &id) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlLoadFromFile(path.c_str(), nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlLoadFromFile("/nowhere.om", &id) == ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID);
  CHECK(aclmdlLoadFromMem(&id, 0, &id) == ACL_ERROR_INVALID_PARAM);
  aclGetRecentErrMsg();
}

TEST_CASE("a loaded model takes device memory, and gives it back") {
  const test::Device device;
  const size_t before = free_memory();
  uint32_t id = 0;
  CHECK(aclmdlLoadFromFile(test::model_path("tokens").c_str(), &id) == ACL_SUCCESS);
  size_t work = 0;
  size_t weights = 0;
  CHECK(aclmdlQuerySize(test::model_path("tokens").c_str(), &work, &weights) == ACL_SUCCESS);
  CHECK(work > 0);
  CHECK(before - free_memory() >= work + weights);
  CHECK(aclmdlUnload(id) == ACL_SUCCESS);
  CHECK(free_memory() == before);
}

TEST_CASE("a model that does not fit into device memory is refused") {
  const test::Variable memory("NPUSERVE_EMULATOR_MEMORY_BYTES", "64");
  const test::Device device;
  uint32_t id = 0;
  CHECK(aclmdlLoadFromFile(test::model_path("tokens").c_str(), &id) == ACL_ERROR_RT_MEMORY_ALLOCATION);
  aclGetRecentErrMsg();
}

TEST_CASE("memory of the caller's is used if it is large enough, on the device") {
  const test::Device device;
  const std::string path = test::model_path("add_mul_fp16");
  const std::vector<char> model = file_bytes(path);
  size_t work = 0;
  size_t weights = 0;
  CHECK(aclmdlQuerySizeFromMem(model.data(), model.size(), &work, &weights) == ACL_SUCCESS);
  void* const block = test::device_memory(work);
  uint32_t id = 0;
  CHECK(aclmdlLoadFromFileWithMem(path.c_str(), &id, block, work - 1, nullptr, 0) == ACL_ERROR_GE_PARAM_INVALID);
  CHECK(test::text_has("the model needs " + std::to_string(work)));
  std::vector<char> host(work);
  CHECK(aclmdlLoadFromMemWithMem(model.data(), model.size(), &id, host.data(), work, nullptr, 0) ==
        ACL_ERROR_GE_EXEC_MODEL_ADDR_INVALID);
  const size_t before = free_memory();
  CHECK(aclmdlLoadFromMemWithMem(model.data(), model.size(), &id, block, work, nullptr, 0) == ACL_SUCCESS);
  CHECK(before - free_memory() < work + 64);
  CHECK(aclmdlUnload(id) == ACL_SUCCESS);
  aclrtFree(block);
  aclGetRecentErrMsg();
}

TEST_CASE("a configuration handle loads from file or memory once its mandatory attributes are set") {
  const test::Device device;
  const std::string path = test::model_path("tokens");
  aclmdlConfigHandle* const config = aclmdlCreateConfigHandle();
  uint32_t id = 0;
  CHECK(aclmdlLoadWithConfig(config, &id) == ACL_ERROR_INVALID_PARAM);
  size_t type = 1;
  CHECK(aclmdlSetConfigOpt(config, ACL_MDL_LOAD_TYPE_SIZET, &type, sizeof type) == ACL_SUCCESS);
  CHECK(aclmdlLoadWithConfig(config, &id) == ACL_ERROR_INVALID_PARAM);
  const char* name = path.c_str();
  CHECK(aclmdlSetConfigOpt(config, ACL_MDL_PATH_PTR, &name, sizeof name) == ACL_SUCCESS);
  CHECK(aclmdlSetConfigOpt(config, ACL_MDL_PATH_PTR, &name, 1) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlLoadWithConfig(config, &id) == ACL_SUCCESS);
  CHECK(aclmdlUnload(id) == ACL_SUCCESS);
  type = 9;
  CHECK(aclmdlSetConfigOpt(config, ACL_MDL_LOAD_TYPE_SIZET, &type, sizeof type) == ACL_ERROR_INVALID_PARAM);
  const int32_t priority = 8;
  CHECK(aclmdlSetConfigOpt(config, ACL_MDL_PRIORITY_INT32, &priority, sizeof priority) == ACL_ERROR_INVALID_PARAM);
  type = 3;
  std::vector<char> model = file_bytes(path);
  const void* address = model.data();
  const size_t size = model.size();
  aclmdlSetConfigOpt(config, ACL_MDL_LOAD_TYPE_SIZET, &type, sizeof type);
  aclmdlSetConfigOpt(config, ACL_MDL_MEM_ADDR_PTR, &address, sizeof address);
  aclmdlSetConfigOpt(config, ACL_MDL_MEM_SIZET, &size, sizeof size);
  CHECK(aclmdlLoadWithConfig(config, &id) == ACL_SUCCESS);
  CHECK(aclmdlUnload(id) == ACL_SUCCESS);
  CHECK(aclmdlDestroyConfigHandle(config) == ACL_SUCCESS);
  CHECK(aclmdlDestroyConfigHandle(config) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlLoadWithConfig(config, &id) == ACL_ERROR_INVALID_PARAM);
  aclGetRecentErrMsg();
}

TEST_SUITE_END();
