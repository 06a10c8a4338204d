// The ONNX Runtime that the tests run on: NPUSERVE_ONNXRUNTIME_LIBRARY names its file, NPUSERVE_ONNX_MODELS the folder
// of the models. Test cases that need them are skipped without, which the summary counts.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "ort/runtime.h"

namespace onnx_test {

inline const char* library_file() { return std::getenv("NPUSERVE_ONNXRUNTIME_LIBRARY"); }
inline const char* model_folder() { return std::getenv("NPUSERVE_ONNX_MODELS"); }

// For TEST_CASE("..." * needs_library()).
inline doctest::skip needs_library() { return doctest::skip(library_file() == nullptr || model_folder() == nullptr); }

inline std::shared_ptr<const npuserve::ort::Runtime> open_runtime() {
  return npuserve::ort::Runtime::open(library_file());
}

inline std::string model(const std::string& name) { return std::string(model_folder()) + "/" + name + ".onnx"; }

}  // namespace onnx_test
