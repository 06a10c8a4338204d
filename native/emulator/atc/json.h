// A reader of JSON, for the compiler's configuration files.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace emulator::atc {

class JsonError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Json {
  enum class Kind { null, boolean, number, text, list, object };
  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0;
  std::string text;
  std::vector<Json> list;
  std::map<std::string, Json> object;
};

// Throws JsonError with the offset of what was not expected.
Json parse_json(std::string_view text);

}  // namespace emulator::atc
