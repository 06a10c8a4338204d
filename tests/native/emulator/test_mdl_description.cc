#include "emulator/execution.h"

TEST_SUITE_BEGIN("mdl_description" * doctest::skip(test::no_models()));

namespace {

struct Description {
  explicit Description(const char* name) : desc(aclmdlCreateDesc()) {
    REQUIRE(aclmdlGetDescFromFile(desc, test::model_path(name).c_str()) == ACL_SUCCESS);
  }
  ~Description() { aclmdlDestroyDesc(desc); }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;
  aclmdlDesc* desc;
};

}  // namespace

TEST_CASE("a description tells the ports, the gear tensor behind the inputs") {
  const test::Library library;
  const Description tokens("tokens");
  CHECK(aclmdlGetNumInputs(tokens.desc) == 3);
  CHECK(aclmdlGetNumOutputs(tokens.desc) == 1);
  CHECK(std::string(aclmdlGetInputNameByIndex(tokens.desc, 0)) == "input_ids");
  CHECK(std::string(aclmdlGetInputNameByIndex(tokens.desc, 2)) == ACL_DYNAMIC_TENSOR_NAME);
  CHECK(std::string(aclmdlGetOutputNameByIndex(tokens.desc, 0)) == "head:0:logits");
  CHECK(aclmdlGetInputDataType(tokens.desc, 0) == ACL_INT64);
  CHECK(aclmdlGetInputDataType(tokens.desc, 2) == ACL_INT32);
  CHECK(aclmdlGetOutputDataType(tokens.desc, 0) == ACL_FLOAT);
  CHECK(aclmdlGetInputFormat(tokens.desc, 0) == ACL_FORMAT_ND);
  CHECK(aclmdlGetInputSizeByIndex(tokens.desc, 0) == 8 * 16 * 8);
  CHECK(aclmdlGetInputSizeByIndex(tokens.desc, 2) == 4 * 4);
  CHECK(aclmdlGetOutputSizeByIndex(tokens.desc, 0) == 8 * 16 * 3 * 4);
  aclmdlIODims dims{};
  CHECK(aclmdlGetInputDims(tokens.desc, 0, &dims) == ACL_SUCCESS);
  CHECK(dims.dimCount == 2);
  CHECK(dims.dims[1] == -1);
  CHECK(std::string(dims.name) == "input_ids");
  CHECK(aclmdlGetOutputDims(tokens.desc, 0, &dims) == ACL_SUCCESS);
  CHECK(dims.dims[0] == 8);
  CHECK(dims.dims[1] == 16);
  size_t index = 9;
  CHECK(aclmdlGetInputIndexByName(tokens.desc, ACL_DYNAMIC_TENSOR_NAME, &index) == ACL_SUCCESS);
  CHECK(index == 2);
}

TEST_CASE("a description lists the gears of its kind") {
  const test::Library library;
  const Description tokens("tokens");
  const Description identity("identity_b8");
  size_t count = 9;
  CHECK(aclmdlGetInputDynamicGearCount(tokens.desc, static_cast<size_t>(-1), &count) == ACL_SUCCESS);
  CHECK(count == 8);
  std::vector<aclmdlIODims> gears(count);
  CHECK(aclmdlGetInputDynamicDims(tokens.desc, static_cast<size_t>(-1), gears.data(), 7) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlGetInputDynamicDims(tokens.desc, static_cast<size_t>(-1), gears.data(), 8) == ACL_SUCCESS);
  CHECK(gears[7].dimCount == 4);
  CHECK(gears[7].dims[3] == 16);
  CHECK(aclmdlGetInputDynamicGearCount(tokens.desc, 0, &count) == ACL_ERROR_INVALID_PARAM);
  aclmdlBatch batch{};
  CHECK(aclmdlGetDynamicBatch(identity.desc, &batch) == ACL_SUCCESS);
  CHECK(batch.batchCount == 4);
  CHECK(batch.batch[3] == 8);
  CHECK(aclmdlGetDynamicBatch(tokens.desc, &batch) == ACL_SUCCESS);
  CHECK(batch.batchCount == 0);
  aclmdlHW images{};
  CHECK(aclmdlGetDynamicHW(tokens.desc, static_cast<size_t>(-1), &images) == ACL_SUCCESS);
  CHECK(images.hwCount == 0);
  aclGetRecentErrMsg();
}

TEST_CASE("a bad index, an empty or a destroyed description give what the vendor gives") {
  const test::Library library;
  const Description identity("identity_static");
  aclmdlIODims dims{};
  CHECK(aclmdlGetInputSizeByIndex(identity.desc, 5) == 0);
  CHECK(std::string(aclmdlGetInputNameByIndex(identity.desc, 5)).empty());
  CHECK(aclmdlGetInputDataType(identity.desc, 5) == ACL_DT_UNDEFINED);
  CHECK(aclmdlGetInputDims(identity.desc, 5, &dims) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlGetCurOutputDims(identity.desc, 0, &dims) == ACL_ERROR_INVALID_PARAM);
  size_t index = 0;
  CHECK(aclmdlGetInputIndexByName(identity.desc, "z", &index) == ACL_ERROR_INVALID_PARAM);
  aclmdlDesc* const empty = aclmdlCreateDesc();
  CHECK(aclmdlGetNumInputs(empty) == 0);
  CHECK(aclmdlGetDesc(empty, 9999) == ACL_ERROR_GE_EXEC_MODEL_ID_INVALID);
  CHECK(aclmdlDestroyDesc(empty) == ACL_SUCCESS);
  CHECK(aclmdlDestroyDesc(empty) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlDestroyDesc(nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlGetNumInputs(nullptr) == 0);
  aclGetRecentErrMsg();
}

TEST_SUITE_END();
