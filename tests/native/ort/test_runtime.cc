#include <doctest/doctest.h>

#include <string>

#include "onnx_library.h"
#include "ort/errors.h"

namespace ort = npuserve::ort;

TEST_CASE("the library says its version, which its file's name ends with" * onnx_test::needs_library()) {
  const auto runtime = onnx_test::open_runtime();
  const std::string file = onnx_test::library_file();
  REQUIRE(!runtime->version().empty());
  CHECK(file.substr(file.size() - runtime->version().size()) == runtime->version());
}

TEST_CASE("a second runtime of the library works beside the first" * onnx_test::needs_library()) {
  const auto first = onnx_test::open_runtime();
  CHECK(onnx_test::open_runtime()->version() == first->version());
}

TEST_CASE("a file that is not there is named") {
  CHECK_THROWS_WITH_AS((void)ort::Runtime::open("/no/such/libonnxruntime.so"),
                       doctest::Contains("/no/such/libonnxruntime.so"), ort::LibraryError);
}

TEST_CASE("a library that is not ONNX Runtime is refused with the symbol that it lacks") {
  CHECK_THROWS_WITH_AS((void)ort::Runtime::open("libm.so.6"), "libm.so.6: missing symbol: OrtGetApiBase",
                       ort::LibraryError);
}
