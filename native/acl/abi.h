// AscendCL's C types and constants, as far as functions.def uses them: our own declarations, with the vendor's names.
// They let the project be built where no CANN is installed. tests/conformance/test_abi.py compiles them beside the
// vendor's headers, for which it includes this file inside a namespace: so no include here but C's basic types.
// Whoever wants prototypes expands functions.def.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "acl/constants.h"

typedef int aclError;
typedef uint16_t aclFloat16;

// Handles.
typedef void* aclrtContext;
typedef void* aclrtStream;
typedef void* aclrtEvent;
typedef struct aclDataBuffer aclDataBuffer;
typedef struct aclTensorDesc aclTensorDesc;
typedef struct aclmdlDataset aclmdlDataset;
typedef struct aclmdlDesc aclmdlDesc;
typedef struct aclmdlConfigHandle aclmdlConfigHandle;

typedef void (*aclrtCallback)(void* user_data);
typedef void (*aclrtHostFunc)(void* args);

#define ACL_ERROR_CODE(name, value) constexpr aclError name = value;
#include "acl/error_codes.def"
#undef ACL_ERROR_CODE

#define ACL_ENUMERATOR(name, value) name = value,
#define ACL_ENUM(type, values) typedef enum type { values(ACL_ENUMERATOR) } type;
ACL_ENUMS(ACL_ENUM)
#undef ACL_ENUM
#undef ACL_ENUMERATOR

#define ACL_FLAG(name, value) constexpr uint32_t name = value;
ACL_FLAG_VALUES(ACL_FLAG)
#undef ACL_FLAG

#define ACL_TEXT(name, value) constexpr char name[] = value;
ACL_STRING_VALUES(ACL_TEXT)
#undef ACL_TEXT

typedef struct aclmdlIODims {
  char name[ACL_MAX_TENSOR_NAME_LEN];
  size_t dimCount;
  int64_t dims[ACL_MAX_DIM_CNT];
} aclmdlIODims;

typedef struct aclmdlIODimsRange {
  size_t rangeCount;
  int64_t range[ACL_MAX_DIM_CNT][ACL_DIM_ENDPOINTS];
} aclmdlIODimsRange;

typedef struct aclmdlBatch {
  size_t batchCount;
  uint64_t batch[ACL_MAX_BATCH_NUM];
} aclmdlBatch;

typedef struct aclmdlHW {
  size_t hwCount;
  uint64_t hw[ACL_MAX_HW_NUM][2];
} aclmdlHW;

typedef struct aclrtMemLocation {
  uint32_t id;
  aclrtMemLocationType type;
} aclrtMemLocation;

typedef struct aclrtPtrAttributes {
  aclrtMemLocation location;
  uint32_t pageSize;
  uint32_t rsv[4];
} aclrtPtrAttributes;

typedef struct aclrtMemUsageInfo {
  char name[32];
  uint64_t curMemSize;
  uint64_t memPeakSize;
  size_t reserved[8];
} aclrtMemUsageInfo;

typedef struct aclrtUtilizationExtendInfo aclrtUtilizationExtendInfo;

typedef struct aclrtUtilizationInfo {
  int32_t cubeUtilization;
  int32_t vectorUtilization;
  int32_t aicpuUtilization;
  int32_t memoryUtilization;
  aclrtUtilizationExtendInfo* utilizationExtend;
} aclrtUtilizationInfo;
