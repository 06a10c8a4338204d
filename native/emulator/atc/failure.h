// How the compiler fails: the vendor's error code and a text.
#pragma once

#include <stdexcept>
#include <string>

namespace emulator::atc {

class Failure : public std::runtime_error {
 public:
  Failure(std::string code, const std::string& text) : std::runtime_error(text), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// E10001, the code of a bad value.
[[noreturn]] inline void invalid_value(const std::string& flag, const std::string& value, const std::string& reason) {
  throw Failure("E10001", "Value [" + value + "] for parameter [--" + flag + "] is invalid. Reason: " + reason);
}

}  // namespace emulator::atc
