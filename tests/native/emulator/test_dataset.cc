#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "emulator/ascendcl.h"

TEST_CASE("a data buffer holds a pointer and a size, can be pointed elsewhere, and owns nothing") {
  const test::Library library;
  int value = 3;
  aclDataBuffer* const buffer = aclCreateDataBuffer(nullptr, 0);
  REQUIRE(buffer != nullptr);
  CHECK(aclGetDataBufferAddr(buffer) == nullptr);
  CHECK(aclUpdateDataBuffer(buffer, &value, sizeof value) == ACL_SUCCESS);
  CHECK(aclGetDataBufferAddr(buffer) == &value);
  CHECK(aclGetDataBufferSizeV2(buffer) == 4);
  CHECK(aclGetDataBufferSize(buffer) == 4);
  CHECK(aclDestroyDataBuffer(buffer) == ACL_SUCCESS);
  CHECK(value == 3);
}

TEST_CASE("a destroyed data buffer is refused") {
  const test::Library library;
  aclDataBuffer* const buffer = aclCreateDataBuffer(nullptr, 0);
  aclmdlDataset* const dataset = aclmdlCreateDataset();
  aclDestroyDataBuffer(buffer);
  CHECK(aclDestroyDataBuffer(buffer) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclUpdateDataBuffer(buffer, nullptr, 0) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclGetDataBufferAddr(buffer) == nullptr);
  CHECK(aclmdlAddDatasetBuffer(dataset, buffer) == ACL_ERROR_INVALID_PARAM);
  CHECK(test::recent_text().find("aclmdlAddDatasetBuffer: the data buffer was destroyed") != std::string::npos);
}

TEST_CASE("a dataset keeps its buffers in order, and does not destroy them") {
  const test::Library library;
  aclmdlDataset* const dataset = aclmdlCreateDataset();
  aclDataBuffer* const first = aclCreateDataBuffer(nullptr, 1);
  aclDataBuffer* const second = aclCreateDataBuffer(nullptr, 2);
  CHECK(aclmdlAddDatasetBuffer(dataset, first) == ACL_SUCCESS);
  CHECK(aclmdlAddDatasetBuffer(dataset, second) == ACL_SUCCESS);
  CHECK(aclmdlAddDatasetBuffer(dataset, nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlAddDatasetBuffer(nullptr, first) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlGetDatasetNumBuffers(dataset) == 2);
  CHECK(aclmdlGetDatasetBuffer(dataset, 1) == second);
  CHECK(aclmdlGetDatasetBuffer(dataset, 2) == nullptr);
  CHECK(aclmdlDestroyDataset(dataset) == ACL_SUCCESS);
  CHECK(aclmdlDestroyDataset(dataset) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlDestroyDataset(nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclDestroyDataBuffer(first) == ACL_SUCCESS);
  CHECK(aclDestroyDataBuffer(second) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("a dataset takes a copy of a tensor description, and NULL takes it away") {
  const test::Library library;
  const int64_t dims[] = {2, 3};
  aclmdlDataset* const dataset = aclmdlCreateDataset();
  aclmdlAddDatasetBuffer(dataset, aclCreateDataBuffer(nullptr, 24));
  aclTensorDesc* const desc = aclCreateTensorDesc(ACL_FLOAT, 2, dims, ACL_FORMAT_ND);
  CHECK(aclmdlSetDatasetTensorDesc(dataset, desc, 1) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclmdlSetDatasetTensorDesc(dataset, desc, 0) == ACL_SUCCESS);
  aclDestroyTensorDesc(desc);
  aclTensorDesc* const copy = aclmdlGetDatasetTensorDesc(dataset, 0);
  REQUIRE(copy != nullptr);
  CHECK(aclGetTensorDescSize(copy) == 24);
  CHECK(aclmdlSetDatasetTensorDesc(dataset, nullptr, 0) == ACL_SUCCESS);
  CHECK(aclmdlGetDatasetTensorDesc(dataset, 0) == nullptr);
  CHECK(aclGetTensorDescSize(copy) == 0);
  aclmdlDestroyDataset(dataset);
  aclGetRecentErrMsg();
}

TEST_CASE("a tensor description tells its type, format, dimensions and sizes") {
  const test::Library library;
  const int64_t dims[] = {4, 1, 5};
  aclTensorDesc* const desc = aclCreateTensorDesc(ACL_INT64, 3, dims, ACL_FORMAT_NCHW);
  int64_t dim = 0;
  CHECK(aclGetTensorDescType(desc) == ACL_INT64);
  CHECK(aclGetTensorDescFormat(desc) == ACL_FORMAT_NCHW);
  CHECK(aclGetTensorDescNumDims(desc) == 3);
  CHECK(aclGetTensorDescElementCount(desc) == 20);
  CHECK(aclGetTensorDescSize(desc) == 160);
  CHECK(aclGetTensorDescDimV2(desc, 2, &dim) == ACL_SUCCESS);
  CHECK(dim == 5);
  CHECK(aclGetTensorDescDimV2(desc, 3, &dim) == ACL_ERROR_INVALID_PARAM);
  aclSetTensorDescName(desc, "logits");
  CHECK(std::string(aclGetTensorDescName(desc)) == "logits");
  aclDestroyTensorDesc(desc);
  CHECK(aclGetTensorDescType(desc) == ACL_DT_UNDEFINED);
  CHECK(aclCreateTensorDesc(ACL_FLOAT, 1, nullptr, ACL_FORMAT_ND) == nullptr);
  aclGetRecentErrMsg();
}

TEST_CASE("data types have their sizes") {
  CHECK(aclDataTypeSize(ACL_BOOL) == 1);
  CHECK(aclDataTypeSize(ACL_BF16) == 2);
  CHECK(aclDataTypeSize(ACL_FLOAT) == 4);
  CHECK(aclDataTypeSize(ACL_INT64) == 8);
  CHECK(aclDataTypeSize(ACL_COMPLEX128) == 16);
  CHECK(aclDataTypeSize(ACL_DT_UNDEFINED) == 0);
}

TEST_CASE("every half value survives the way to float and back") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<aclFloat16>(bits);
    if ((bits & 0x7C00) == 0x7C00 && (bits & 0x3FF) != 0) {
      CHECK(std::isnan(aclFloat16ToFloat(half)));
    } else if (aclFloatToFloat16(aclFloat16ToFloat(half)) != half) {
      FAIL("half ", bits, " came back as ", aclFloatToFloat16(aclFloat16ToFloat(half)));
    }
  }
}

TEST_CASE("a float becomes the nearest half, ties to even, with subnormals and overflow") {
  struct Row {
    float value;
    std::uint32_t half;
  };
  // From IEEE 754 binary16: 1 + 2^-11 ties down to 1, 1 + 3 * 2^-11 ties up, 65519 is the last finite, 2^-25 ties to 0.
  const Row rows[] = {{1.0F, 0x3C00},
                      {0x1.002p0F, 0x3C00},
                      {0x1.006p0F, 0x3C02},
                      {-2.0F, 0xC000},
                      {65504.0F, 0x7BFF},
                      {65519.0F, 0x7BFF},
                      {65520.0F, 0x7C00},
                      {0x1p-14F, 0x0400},
                      {0x1p-24F, 0x0001},
                      {0x1p-25F, 0x0000},
                      {0x1.8p-25F, 0x0001},
                      {0x1.ff8p-15F, 0x03FF},
                      {-0.0F, 0x8000},
                      {0x1.8p-24F, 0x0002},
                      {0x1.ffcp-15F, 0x0400},
                      {1e30F, 0x7C00},
                      {std::numeric_limits<float>::infinity(), 0x7C00}};
  for (const Row& row : rows) {
    CAPTURE(row.value);
    CHECK(aclFloatToFloat16(row.value) == row.half);
  }
  CHECK(std::isnan(aclFloat16ToFloat(aclFloatToFloat16(std::numeric_limits<float>::quiet_NaN()))));
}
