// What a failed call of ONNX Runtime, or the lack of its library, is to the rest of the product.
#pragma once

#include <stdexcept>
#include <string>

namespace npuserve::ort {

// A call returned a status. what() is worded as Triton words it: "onnx runtime error 2: " and the library's text.
class Error : public std::runtime_error {
 public:
  Error(int code, const std::string& text)
      : std::runtime_error("onnx runtime error " + std::to_string(code) + ": " + text), code_(code) {}

  // An OrtErrorCode.
  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  int code_;
};

// The library could not be loaded or is too old; the message names the file and the reason.
class LibraryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace npuserve::ort
