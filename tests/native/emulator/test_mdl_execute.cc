#include <numeric>
#include <thread>

#include "emulator/execution.h"

TEST_SUITE_BEGIN("mdl_execute" * doctest::skip(test::no_models()));

TEST_CASE("an execution computes the rows of its gear, in order behind what was queued") {
  const test::Device device;
  test::Identity model;
  std::vector<float> rows(16);
  std::iota(rows.begin(), rows.end(), 1.5F);
  model.write(rows);
  CHECK(model.set_batch(4) == ACL_SUCCESS);
  CHECK(model.execute_async() == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(nullptr) == ACL_SUCCESS);
  CHECK(test::read_device<float>(model.outputs.address(0), 16) == rows);
}

TEST_CASE("a model without gears is executed as it is") {
  const test::Device device;
  test::Identity model("identity_static", false);
  model.write(std::vector<float>(16, 2.0F));
  CHECK(model.execute() == ACL_SUCCESS);
  CHECK(test::read_device<float>(model.outputs.address(0), 16) == std::vector<float>(16, 2.0F));
}

TEST_CASE("an unknown or unloaded model id is refused") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  CHECK(aclmdlExecute(9999, model.inputs.dataset(), model.outputs.dataset()) == ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
  CHECK(test::text_has("aclmdlExecute: model id 9999 is not loaded"));
  CHECK(aclmdlUnload(model.id) == ACL_SUCCESS);
  CHECK(model.execute_async() == ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
  CHECK(aclmdlUnload(model.id) == ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("execution needs a context, and it must be the one that loaded the model") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  aclError without = ACL_SUCCESS;
  aclError other = ACL_SUCCESS;
  aclError unload = ACL_SUCCESS;
  std::thread([&] {
    without = model.execute_async();
    aclrtContext context = nullptr;
    aclrtCreateContext(&context, 0);
    other = model.execute_async();
    unload = aclmdlUnload(model.id);
    aclrtDestroyContext(context);
  }).join();
  CHECK(without == ACL_ERROR_RT_CONTEXT_NULL);
  CHECK(other == ACL_ERROR_RT_MODEL_CONTEXT);
  CHECK(unload == ACL_ERROR_RT_MODEL_CONTEXT);
}

TEST_CASE("datasets that are NULL, destroyed, or hold destroyed buffers are refused") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  CHECK(aclmdlExecute(model.id, nullptr, model.outputs.dataset()) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlExecute(model.id, model.inputs.dataset(), nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(test::text_has("the output dataset is NULL"));
  aclDestroyDataBuffer(model.outputs.buffer(0));
  CHECK(model.execute() == ACL_ERROR_INVALID_PARAM);
  CHECK(test::text_has("output tensor 0: its data buffer was destroyed"));
}

TEST_CASE("a wrong number of buffers is refused") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  model.inputs.add(64);
  CHECK(model.execute() == ACL_ERROR_GE_FAILURE);
  CHECK(test::text_has("the number of input buffers is inconsistent: the dataset has 3, the model needs 2"));
}

TEST_CASE("a host pointer in a dataset is refused, naming the tensor") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  std::vector<float> pageable(32);
  float* const pinned = test::pinned_memory<float>(32);
  for (void* const host : {static_cast<void*>(pageable.data()), static_cast<void*>(pinned)}) {
    aclUpdateDataBuffer(model.outputs.buffer(0), host, 128);
    CHECK(model.execute_async() == ACL_ERROR_INVALID_PARAM);
    CHECK(test::text_has("output tensor 0 (identity:0:y): a dataset's buffers must be device memory"));
  }
  aclrtFreeHost(pinned);
}

TEST_CASE("a buffer that is short by a byte is refused with both sizes") {
  const test::Device device;
  test::Identity model;
  model.set_batch(8);
  aclUpdateDataBuffer(model.inputs.buffer(0), model.inputs.address(0), 127);
  CHECK(model.execute_async() == ACL_ERROR_GE_FAILURE);
  CHECK(test::text_has("input tensor 0 (x) has a buffer of 127 bytes, the model needs 128"));
}

TEST_CASE("a buffer only has to hold its gear") {
  const test::Device device;
  test::Identity model;
  aclUpdateDataBuffer(model.inputs.buffer(0), model.inputs.address(0), 16);
  CHECK(model.set_batch(1) == ACL_SUCCESS);
  CHECK(model.execute() == ACL_SUCCESS);
}

TEST_CASE("buffers outside one live allocation, misaligned, or overlapping are refused") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  void* const block = model.outputs.address(0);
  aclUpdateDataBuffer(model.outputs.buffer(0), block, 4096);
  CHECK(model.execute() == ACL_ERROR_INVALID_PARAM);
  aclUpdateDataBuffer(model.outputs.buffer(0), block, SIZE_MAX - 63);
  CHECK(model.execute() == ACL_ERROR_INVALID_PARAM);
  aclUpdateDataBuffer(model.outputs.buffer(0), static_cast<std::byte*>(block) + 32, 16);
  CHECK(model.execute() == ACL_ERROR_RT_ADDR_UNALIGNED);
  aclUpdateDataBuffer(model.outputs.buffer(0), model.inputs.address(0), 16);
  CHECK(model.execute() == ACL_ERROR_INVALID_PARAM);
  CHECK(test::text_has("overlaps input tensor 0 (x)"));
  void* const freed = test::device_memory(256);
  aclrtFree(freed);
  aclUpdateDataBuffer(model.outputs.buffer(0), freed, 16);
  CHECK(model.execute() == ACL_ERROR_INVALID_PARAM);
  aclGetRecentErrMsg();
}

TEST_CASE("a blocking execution allocates outputs that are left to it, a queued one refuses them") {
  const test::Device device;
  test::Identity model;
  test::Identity queued;
  model.set_batch(1);
  queued.set_batch(1);
  model.write({1, 2, 3, 4});
  aclUpdateDataBuffer(model.outputs.buffer(0), nullptr, 0);
  CHECK(model.execute() == ACL_SUCCESS);
  void* const made = aclGetDataBufferAddr(model.outputs.buffer(0));
  CHECK(test::read_device<float>(made, 4) == std::vector<float>{1, 2, 3, 4});
  CHECK(aclrtFree(made) == ACL_SUCCESS);
  aclUpdateDataBuffer(queued.outputs.buffer(0), nullptr, 0);
  CHECK(queued.execute_async() == ACL_ERROR_INVALID_PARAM);
}

TEST_CASE("one model id is executed either blocking or queued, never both") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  CHECK(model.execute() == ACL_SUCCESS);
  CHECK(model.execute_async() == ACL_ERROR_GE_FAILURE);
  CHECK(test::text_has("not support mix execute"));
}

TEST_CASE("one model id in flight on two streams is refused, and so is unloading it") {
  const test::Device device;
  test::Identity model;
  model.set_batch(1);
  const aclrtStream first = test::new_stream();
  const aclrtStream second = test::new_stream();
  // The first stream is held by an event that only the second one records.
  aclrtEvent gate = nullptr;
  aclrtCreateEventWithFlag(&gate, ACL_EVENT_SYNC);
  aclrtStream holder = test::new_stream();
  bool open = false;
  aclrtLaunchHostFunc(
      holder,
      [](void* flag) {
        while (!__atomic_load_n(static_cast<bool*>(flag), __ATOMIC_ACQUIRE)) std::this_thread::yield();
      },
      &open);
  aclrtRecordEvent(gate, holder);
  aclrtStreamWaitEvent(first, gate);
  CHECK(model.execute_async(first) == ACL_SUCCESS);
  CHECK(model.execute_async(first) == ACL_SUCCESS);
  CHECK(model.execute_async(second) == ACL_ERROR_GE_FAILURE);
  CHECK(test::text_has("must not execute on two streams"));
  CHECK(aclmdlUnload(model.id) == ACL_ERROR_GE_UNLOAD_MODEL);
  CHECK(aclrtFree(model.inputs.address(0)) != ACL_SUCCESS);
  __atomic_store_n(&open, true, __ATOMIC_RELEASE);
  CHECK(aclrtSynchronizeStream(first) == ACL_SUCCESS);
  CHECK(model.execute_async(second) == ACL_SUCCESS);
  CHECK(aclrtSynchronizeStream(second) == ACL_SUCCESS);
  CHECK(aclmdlUnload(model.id) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("a gear tensor that is overwritten while its execution waits fails at the next synchronize") {
  const test::Device device;
  test::Identity model;
  aclrtStream stream = test::new_stream();
  bool open = false;
  aclrtLaunchHostFunc(
      stream,
      [](void* flag) {
        while (!__atomic_load_n(static_cast<bool*>(flag), __ATOMIC_ACQUIRE)) std::this_thread::yield();
      },
      &open);
  model.set_batch(1);
  CHECK(model.execute_async(stream) == ACL_SUCCESS);
  model.set_batch(2);
  __atomic_store_n(&open, true, __ATOMIC_RELEASE);
  CHECK(aclrtSynchronizeStream(stream) == ACL_ERROR_GE_FAILURE);
  CHECK(test::text_has("the gear tensor was overwritten"));
}

TEST_SUITE_END();
