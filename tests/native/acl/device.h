// The AscendCL that the tests run on: NPUSERVE_ACL_LIBRARY names its files, separated by colons; the emulator's one
// library as a rule. Test cases that need it are skipped without it, which the summary counts.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "acl/errors.h"
#include "acl/library.h"
#include "acl/runtime.h"

namespace device_test {

inline const char* library_file() { return std::getenv("NPUSERVE_ACL_LIBRARY"); }

// For TEST_CASE("..." * needs_device()).
inline doctest::skip needs_device() { return doctest::skip(library_file() == nullptr); }

inline std::shared_ptr<npuserve::acl::Runtime> open_runtime() {
  std::vector<std::string> files;
  std::istringstream names(library_file());
  for (std::string name; std::getline(names, name, ':');) files.push_back(name);
  return npuserve::acl::Runtime::create(npuserve::acl::Library::open({files}));
}

// Sets one of the emulator's variables, which it reads at aclInit: declare it before the runtime.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

// function:nth:code[:sync]
class Fault : public Setting {
 public:
  explicit Fault(const char* rule) : Setting("NPUSERVE_EMULATOR_FAULTS", rule) {}
};

// The code of the Error that `body` throws; 0 if it throws none.
template <class Body>
int code_of(Body body) {
  try {
    body();
  } catch (const npuserve::acl::Error& error) {
    return error.code();
  }
  return 0;
}

}  // namespace device_test
