// What a failed AscendCL call, or the lack of an AscendCL library, is to the rest of the product.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace npuserve::acl {

// A call returned a status other than success. what() names the call, the code, the code's name and the driver's text.
class Error : public std::runtime_error {
 public:
  // Sorted by what the caller can do about it.
  enum class Kind {
    kInvalid,      // the call or the model is wrong: repeating it fails again
    kOutOfMemory,  // host or device memory is exhausted
    kBusy,         // a timeout, an abort, or a finite resource (streams, events) in use: may succeed later
    kDeviceFatal,  // the device is lost or its memory is damaged: nothing on it can be trusted
    kFailed,       // anything else
  };

  Error(std::string call, int code, std::string detail);

  [[nodiscard]] const std::string& call() const noexcept { return call_; }
  [[nodiscard]] int code() const noexcept { return code_; }
  [[nodiscard]] std::string_view code_name() const noexcept;
  // The driver's own text (aclGetRecentErrMsg); empty if it had none.
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }
  [[nodiscard]] Kind kind() const noexcept;

 private:
  std::string call_;
  int code_;
  std::string detail_;
};

// No AscendCL could be loaded; the message names every library tried, where it was searched for, and the reason.
class LibraryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The vendor's name of a status, "unknown status" for a code its headers do not list.
[[nodiscard]] std::string_view code_name(int code) noexcept;
[[nodiscard]] Error::Kind kind_of(int code) noexcept;
// "invalid", "out_of_memory", "busy", "device_fatal", "failed".
[[nodiscard]] std::string_view kind_name(Error::Kind kind) noexcept;

}  // namespace npuserve::acl
