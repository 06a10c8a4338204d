#include "acl/errors.h"

#include <algorithm>
#include <array>
#include <utility>

#include "acl/abi.h"

namespace npuserve::acl {
namespace {

struct NamedCode {
  int code;
  std::string_view name;
};

constexpr NamedCode kCodes[] = {
#define ACL_ERROR_CODE(name, value) {value, #name},
#include "acl/error_codes.def"
#undef ACL_ERROR_CODE
};
static_assert(std::ranges::is_sorted(kCodes, {}, &NamedCode::code));

constexpr std::array kOutOfMemoryCodes = {
    ACL_ERROR_BAD_ALLOC,
    ACL_ERROR_RT_MEMORY_ALLOCATION,
    ACL_ERROR_RT_DEVICE_OOM,
    ACL_ERROR_GE_MEMORY_ALLOCATION,
};

// Timeouts, aborts, and the device's finite resources.
constexpr std::array kBusyCodes = {
    ACL_ERROR_RT_WAIT_TIMEOUT,       ACL_ERROR_RT_TASK_TIMEOUT,        ACL_ERROR_RT_DEVICE_TASK_ABORT,
    ACL_ERROR_RT_STREAM_ABORT,       ACL_ERROR_RT_RESOURCE_ALLOC_FAIL, ACL_ERROR_RT_NO_EVENT_RESOURCE,
    ACL_ERROR_RT_NO_STREAM_RESOURCE, ACL_ERROR_RT_NO_NOTIFY_RESOURCE,  ACL_ERROR_RT_NO_MODEL_RESOURCE,
    ACL_ERROR_RT_OVER_LIMIT,         ACL_ERROR_RT_QUEUE_FULL,          ACL_ERROR_RT_TIMEOUT,
    ACL_ERROR_RT_STREAM_TASK_FULL,   ACL_ERROR_RT_REPORT_TIMEOUT,      ACL_ERROR_RT_STREAM_SYNC_TIMEOUT,
    ACL_ERROR_RT_EVENT_SYNC_TIMEOUT,
};

constexpr std::array kDeviceFatalCodes = {
    ACL_ERROR_RT_INTERNAL_ERROR,           ACL_ERROR_RT_TS_ERROR,
    ACL_ERROR_RT_LOST_HEARTBEAT,           ACL_ERROR_RT_DEV_SETUP_ERROR,
    ACL_ERROR_RT_DEVICE_MEM_ERROR,         ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR,
    ACL_ERROR_RT_SUSPECT_DEVICE_MEM_ERROR, ACL_ERROR_RT_LINK_ERROR,
    ACL_ERROR_RT_DRV_INTERNAL_ERROR,       ACL_ERROR_RT_SOCKET_CLOSE,
};

bool among(const auto& codes, int code) { return std::ranges::find(codes, code) != codes.end(); }

// 1xxxxx: found wrong in the call itself by AscendCL (100), the runtime (107) or the graph engine (145).
bool is_callers_mistake(int code) { return code >= 100'000 && code < 200'000; }

std::string message_of(std::string_view call, int code, std::string_view detail) {
  std::string text(call);
  text.append(" failed: ").append(std::to_string(code)).append(" (").append(code_name(code)).append(")");
  if (!detail.empty()) text.append(": ").append(detail);
  return text;
}

}  // namespace

Error::Error(std::string call, int code, std::string detail)
    : std::runtime_error(message_of(call, code, detail)),
      call_(std::move(call)),
      code_(code),
      detail_(std::move(detail)) {}

std::string_view Error::code_name() const noexcept { return acl::code_name(code_); }

Error::Kind Error::kind() const noexcept { return kind_of(code_); }

std::string_view code_name(int code) noexcept {
  const auto* const found = std::ranges::lower_bound(kCodes, code, {}, &NamedCode::code);
  return found != std::end(kCodes) && found->code == code ? found->name : "unknown status";
}

Error::Kind kind_of(int code) noexcept {
  if (among(kOutOfMemoryCodes, code)) return Error::Kind::kOutOfMemory;
  if (among(kBusyCodes, code)) return Error::Kind::kBusy;
  if (among(kDeviceFatalCodes, code)) return Error::Kind::kDeviceFatal;
  return is_callers_mistake(code) ? Error::Kind::kInvalid : Error::Kind::kFailed;
}

std::string_view kind_name(Error::Kind kind) noexcept {
  switch (kind) {
    case Error::Kind::kInvalid:
      return "invalid";
    case Error::Kind::kOutOfMemory:
      return "out_of_memory";
    case Error::Kind::kBusy:
      return "busy";
    case Error::Kind::kDeviceFatal:
      return "device_fatal";
    case Error::Kind::kFailed:
      break;
  }
  return "failed";
}

}  // namespace npuserve::acl
