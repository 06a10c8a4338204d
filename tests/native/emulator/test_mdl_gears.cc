#include "emulator/execution.h"

TEST_SUITE_BEGIN("mdl_gears" * doctest::skip(test::no_models()));

namespace {

aclmdlIODims dims_of(std::vector<int64_t> axes) {
  aclmdlIODims dims{};
  dims.dimCount = axes.size();
  std::copy(axes.begin(), axes.end(), dims.dims);
  return dims;
}

// tokens: two inputs [-1,-1]; gears of 1 2 4 8 rows by length 8 16.
struct Tokens {
  Tokens() {
    REQUIRE(aclmdlLoadFromFile(test::model_path("tokens").c_str(), &id) == ACL_SUCCESS);
    inputs.add(8 * 16 * sizeof(int64_t));
    inputs.add(8 * 16 * sizeof(int64_t));
    inputs.add(4 * sizeof(int32_t));
  }
  aclError set(const std::vector<int64_t>& axes, size_t index = 2) {
    const aclmdlIODims dims = dims_of(axes);
    return aclmdlSetInputDynamicDims(id, inputs.dataset(), index, &dims);
  }
  uint32_t id = 0;
  test::Tensors inputs;
};

}  // namespace

TEST_CASE("a batch gear is written into the gear tensor and tells the current output dims") {
  const test::Device device;
  test::Identity model;
  aclmdlDesc* const desc = aclmdlCreateDesc();
  aclmdlGetDesc(desc, model.id);
  aclmdlIODims dims{};
  CHECK(aclmdlGetCurOutputDims(desc, 0, &dims) == ACL_SUCCESS);
  CHECK(dims.dims[0] == 8);
  CHECK(model.set_batch(2) == ACL_SUCCESS);
  CHECK(test::read_device<int32_t>(model.inputs.address(1), 1)[0] == 2);
  CHECK(aclmdlGetCurOutputDims(desc, 0, &dims) == ACL_SUCCESS);
  CHECK(dims.dims[0] == 2);
  CHECK(aclmdlGetCurOutputDims(desc, 1, &dims) == ACL_ERROR_INVALID_PARAM);
  aclmdlDestroyDesc(desc);
  aclGetRecentErrMsg();
}

TEST_CASE("a gear that was never set is refused at execution") {
  const test::Device device;
  test::Identity model;
  CHECK(model.execute() == ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  CHECK(test::text_has("no gear of this model was ever set on the input dataset"));
}

TEST_CASE("bad batch sizes, indices and buffers are refused with the vendor's codes") {
  const test::Device device;
  test::Identity model;
  CHECK(model.set_batch(0) == ACL_ERROR_INVALID_PARAM);
  CHECK(model.set_batch(3) == ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  CHECK(test::text_has("[3] is not a gear"));
  CHECK(aclmdlSetDynamicBatchSize(model.id, model.inputs.dataset(), 0, 2) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlSetDynamicBatchSize(model.id, nullptr, 1, 2) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlSetDynamicBatchSize(9999, model.inputs.dataset(), 1, 2) == ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
  CHECK(aclmdlSetDynamicHWSize(model.id, model.inputs.dataset(), 1, 0, 8) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlSetDynamicHWSize(model.id, model.inputs.dataset(), 1, 8, 8) == ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  aclUpdateDataBuffer(model.inputs.buffer(1), model.inputs.address(1), 3);
  CHECK(model.set_batch(2) == ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID);
  aclUpdateDataBuffer(model.inputs.buffer(1), nullptr, 0);
  CHECK(model.set_batch(2) == ACL_ERROR_INVALID_PARAM);
  int32_t host = 0;
  aclUpdateDataBuffer(model.inputs.buffer(1), &host, 4);
  CHECK(model.set_batch(2) == ACL_ERROR_GE_DYNAMIC_INPUT_ADDR_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("a model without gears has none to set") {
  const test::Device device;
  test::Identity model("identity_static", true);
  CHECK(model.set_batch(4) == ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("dims gears take the full shapes of all inputs") {
  const test::Device device;
  Tokens model;
  CHECK(model.set({2, 16, 2, 16}) == ACL_SUCCESS);
  CHECK(test::read_device<int32_t>(model.inputs.address(2), 4) == std::vector<int32_t>{2, 16, 2, 16});
  CHECK(model.set({}) == ACL_ERROR_INVALID_PARAM);
  CHECK(model.set({2, 16}) == ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID);
  CHECK(model.set({2, 9, 2, 9}) == ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  CHECK(model.set({2, 16, 2, 16}, 1) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlSetInputDynamicDims(model.id, model.inputs.dataset(), 2, nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlSetDynamicBatchSize(model.id, model.inputs.dataset(), 2, 2) == ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID);
  aclUpdateDataBuffer(model.inputs.buffer(2), model.inputs.address(2), 12);
  CHECK(model.set({2, 16, 2, 16}) == ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID);
  aclGetRecentErrMsg();
}

TEST_CASE("a gear buffer that declares room for 64-bit elements is refused") {
  const test::Device device;
  Tokens model;
  void* const wide = test::device_memory(64);
  aclUpdateDataBuffer(model.inputs.buffer(2), wide, 32);
  CHECK(model.set({2, 16, 2, 16}) == ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID);
  CHECK(test::text_has("declare exactly 16"));
  aclrtFree(wide);
}

TEST_SUITE_END();
