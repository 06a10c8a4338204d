// The command line: which flags there are, and their raw values.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace emulator::atc {

class Flags {
 public:
  // Takes `--name=value` and `--name value`. Throws Failure: E10001 for an unknown flag or a value outside the flag's
  // list, E10055 for a value that the emulator cannot honour.
  static Flags parse(const std::vector<std::string>& arguments);

  bool has(const std::string& name) const { return values_.contains(name); }
  // The value, or the flag's default, or "".
  std::string get(const std::string& name) const;
  // Throws Failure: E10007 if missing, E10008 if empty.
  std::string require(const std::string& name) const;
  const std::string& command_line() const { return command_line_; }

 private:
  std::map<std::string, std::string> values_;
  std::string command_line_;
};

// The text of --help.
std::string help_text();

}  // namespace emulator::atc
