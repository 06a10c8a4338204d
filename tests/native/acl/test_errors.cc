#include "acl/errors.h"

#include <doctest/doctest.h>

#include <string>

using npuserve::acl::code_name;
using npuserve::acl::Error;
using npuserve::acl::kind_name;
using npuserve::acl::kind_of;

TEST_CASE("an error names the call, the code, the code's name and the driver's text") {
  const Error error("aclrtMalloc", 207001, "EL0004: out of memory");
  CHECK(error.call() == "aclrtMalloc");
  CHECK(error.code() == 207001);
  CHECK(error.code_name() == "ACL_ERROR_RT_MEMORY_ALLOCATION");
  CHECK(error.detail() == "EL0004: out of memory");
  CHECK(error.kind() == Error::Kind::kOutOfMemory);
  CHECK(std::string(error.what()) ==
        "aclrtMalloc failed: 207001 (ACL_ERROR_RT_MEMORY_ALLOCATION): EL0004: out of memory");
}

TEST_CASE("an error without the driver's text ends after the code's name") {
  const Error error("aclmdlUnload", 145003, "");
  CHECK(std::string(error.what()) == "aclmdlUnload failed: 145003 (ACL_ERROR_GE_EXEC_MODEL_ID_INVALID)");
}

TEST_CASE("every source of statuses has its names") {
  CHECK(code_name(0) == "ACL_SUCCESS");
  CHECK(code_name(100000) == "ACL_ERROR_INVALID_PARAM");
  CHECK(code_name(107003) == "ACL_ERROR_RT_STREAM_CONTEXT");
  CHECK(code_name(145013) == "ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID");
  CHECK(code_name(500002) == "ACL_ERROR_GE_FAILURE");
  CHECK(code_name(507916) == "ACL_ERROR_RT_CCU_EXCEPTION");
}

TEST_CASE("a code that the headers do not list is said to be unknown") {
  CHECK(code_name(-1) == "unknown status");
  CHECK(code_name(99999) == "unknown status");
  CHECK(code_name(999999) == "unknown status");
}

TEST_CASE("a code is sorted by what the caller can do about it") {
  struct Row {
    int code;
    Error::Kind kind;
  };
  const Row rows[] = {
      {100000, Error::Kind::kInvalid},     {107002, Error::Kind::kInvalid},     {145003, Error::Kind::kInvalid},
      {200000, Error::Kind::kOutOfMemory}, {207001, Error::Kind::kOutOfMemory}, {207018, Error::Kind::kOutOfMemory},
      {245000, Error::Kind::kOutOfMemory}, {107020, Error::Kind::kBusy},        {207007, Error::Kind::kBusy},
      {207008, Error::Kind::kBusy},        {507046, Error::Kind::kBusy},        {507047, Error::Kind::kBusy},
      {507000, Error::Kind::kDeviceFatal}, {507001, Error::Kind::kDeviceFatal}, {507010, Error::Kind::kDeviceFatal},
      {507054, Error::Kind::kDeviceFatal}, {507901, Error::Kind::kDeviceFatal}, {507011, Error::Kind::kFailed},
      {507015, Error::Kind::kFailed},      {500002, Error::Kind::kFailed},      {207000, Error::Kind::kFailed},
      {-7, Error::Kind::kFailed},
  };
  for (const Row& row : rows) {
    CAPTURE(row.code);
    CHECK(kind_of(row.code) == row.kind);
  }
}

TEST_CASE("each kind has the name that Python knows") {
  CHECK(kind_name(Error::Kind::kInvalid) == "invalid");
  CHECK(kind_name(Error::Kind::kOutOfMemory) == "out_of_memory");
  CHECK(kind_name(Error::Kind::kBusy) == "busy");
  CHECK(kind_name(Error::Kind::kDeviceFatal) == "device_fatal");
  CHECK(kind_name(Error::Kind::kFailed) == "failed");
}
