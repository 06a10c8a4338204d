// Our declarations of AscendCL beside the vendor's own headers: compiles only if both say the same. Run by
// tests/conformance/test_abi.py, with the vendor's headers on the include path.
#include <stddef.h>
#include <stdint.h>

#include <string_view>
#include <type_traits>

// Ours first: many of the vendor's constants are macros, which would rewrite our declarations of the same names.
namespace ours {
#include "acl/abi.h"
}  // namespace ours

#include "acl/acl.h"

namespace {

// Constants: the vendor's value of the name against ours. The declarations in abi.h are made from these lists.
#define SAME_VALUE(name, value) \
  static_assert(static_cast<long long>(name) == static_cast<long long>(value), "constant differs: " #name);
#define SAME_TEXT(name, value) static_assert(std::string_view(name) == value, "constant differs: " #name);
#define SAME_ENUM(type, values)                                             \
  static_assert(sizeof(::type) == sizeof(ours::type), "enum size: " #type); \
  values(SAME_VALUE)
#define ACL_ERROR_CODE SAME_VALUE
#include "acl/error_codes.def"
#undef ACL_ERROR_CODE
ACL_ENUMS(SAME_ENUM)
ACL_FLAG_VALUES(SAME_VALUE)
ACL_STRING_VALUES(SAME_TEXT)

// Plain types. Opaque structs are only ever pointed to, and function types name them.
#define SAME_TYPE(type) static_assert(std::is_same_v<::type, ours::type>, "type differs: " #type);
SAME_TYPE(aclError)
SAME_TYPE(aclFloat16)
SAME_TYPE(aclrtContext)
SAME_TYPE(aclrtStream)
SAME_TYPE(aclrtEvent)
SAME_TYPE(aclrtCallback)
SAME_TYPE(aclrtHostFunc)

// Structs: the size of the whole, the place and the size of each member.
#define SAME_SIZE(type) static_assert(sizeof(::type) == sizeof(ours::type), "struct size: " #type);
#define SAME_MEMBER(type, member)                                           \
  static_assert(offsetof(::type, member) == offsetof(ours::type, member) && \
                    sizeof(::type::member) == sizeof(ours::type::member),   \
                "struct member: " #type "::" #member);
SAME_SIZE(aclmdlIODims)
SAME_MEMBER(aclmdlIODims, name)
SAME_MEMBER(aclmdlIODims, dimCount)
SAME_MEMBER(aclmdlIODims, dims)
SAME_SIZE(aclmdlIODimsRange)
SAME_MEMBER(aclmdlIODimsRange, rangeCount)
SAME_MEMBER(aclmdlIODimsRange, range)
SAME_SIZE(aclmdlBatch)
SAME_MEMBER(aclmdlBatch, batchCount)
SAME_MEMBER(aclmdlBatch, batch)
SAME_SIZE(aclmdlHW)
SAME_MEMBER(aclmdlHW, hwCount)
SAME_MEMBER(aclmdlHW, hw)
SAME_SIZE(aclrtMemLocation)
SAME_MEMBER(aclrtMemLocation, id)
SAME_MEMBER(aclrtMemLocation, type)
SAME_SIZE(aclrtPtrAttributes)
SAME_MEMBER(aclrtPtrAttributes, location)
SAME_MEMBER(aclrtPtrAttributes, pageSize)
SAME_MEMBER(aclrtPtrAttributes, rsv)
SAME_SIZE(aclrtMemUsageInfo)
SAME_MEMBER(aclrtMemUsageInfo, name)
SAME_MEMBER(aclrtMemUsageInfo, curMemSize)
SAME_MEMBER(aclrtMemUsageInfo, memPeakSize)
SAME_MEMBER(aclrtMemUsageInfo, reserved)
SAME_SIZE(aclrtUtilizationInfo)
SAME_MEMBER(aclrtUtilizationInfo, cubeUtilization)
SAME_MEMBER(aclrtUtilizationInfo, vectorUtilization)
SAME_MEMBER(aclrtUtilizationInfo, aicpuUtilization)
SAME_MEMBER(aclrtUtilizationInfo, memoryUtilization)
SAME_MEMBER(aclrtUtilizationInfo, utilizationExtend)

// Functions: the vendor's type of the name against ours, spelled with the vendor's types. A function that the vendor
// does not declare is an error, too.
#define SAME_FUNCTION(ret, name, params) \
  static_assert(std::is_same_v<decltype(::name), ret params>, "signature differs: " #name);
#define ACL_REQUIRED SAME_FUNCTION
#define ACL_OPTIONAL SAME_FUNCTION
#define ACL_EMULATED SAME_FUNCTION
#include "acl/functions.def"

}  // namespace
