#include "acl/library.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "acl/errors.h"
#include "acl/event.h"
#include "acl/functions.h"
#include "acl/runtime.h"

using npuserve::acl::Error;
using npuserve::acl::Event;
using npuserve::acl::Library;
using npuserve::acl::LibraryError;
using npuserve::acl::Runtime;

namespace {

// Built from stub/partial_library.cc; each lacks the function that it is named after.
constexpr const char* kWithoutMalloc = NPUSERVE_STUB_WITHOUT_MALLOC;
constexpr const char* kWithoutLoad = NPUSERVE_STUB_WITHOUT_LOAD;

std::string failure_of(const std::vector<std::vector<std::string>>& candidates) {
  try {
    Library::open(candidates);
  } catch (const LibraryError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("without any library the error names each that was tried, the loader's reason, and where it searched") {
  const std::string text = failure_of({{"libno_such_acl.so"}, {"/nowhere/libacl_rt.so", "/nowhere/libacl_mdl.so"}});
  CHECK(contains(text, "no AscendCL library could be loaded"));
  CHECK(contains(text, "libno_such_acl.so: cannot open shared object file: No such file or directory"));
  CHECK(contains(text, "/nowhere/libacl_rt.so + /nowhere/libacl_mdl.so: "));
  CHECK(contains(text, "folders searched for bare names: /"));
}

TEST_CASE("a library that lacks a required function is refused by the function's name alone") {
  const std::string text = failure_of({{kWithoutMalloc}});
  CHECK(contains(text, std::string(kWithoutMalloc) + ": missing symbol: aclrtMalloc\n"));
  CHECK_FALSE(contains(text, "aclInit"));
}

TEST_CASE("a file that is no library at all is refused with the loader's reason") {
  CHECK(contains(failure_of({{"/etc/passwd"}}), "/etc/passwd: invalid ELF header"));
}

TEST_CASE("no candidates are an error, too") { CHECK(contains(failure_of({}), "no AscendCL library could be loaded")); }

TEST_CASE("one AscendCL may be spread over several files") {
  const auto library = Library::open({{kWithoutMalloc, kWithoutLoad}});
  REQUIRE(library->files().size() == 2);
  CHECK(std::filesystem::equivalent(library->files()[0], kWithoutMalloc));
  CHECK(std::filesystem::equivalent(library->files()[1], kWithoutLoad));
  CHECK(library->functions().aclrtMalloc);
  CHECK(library->functions().aclmdlLoadFromFile);
}

TEST_CASE("the first candidate that is complete is taken") {
  const auto library = Library::open({{"libno_such_acl.so"}, {kWithoutMalloc}, {kWithoutLoad, kWithoutMalloc}});
  CHECK(std::filesystem::equivalent(library->files().front(), kWithoutLoad));
}

TEST_CASE("a release without the optional functions is served by the others") {
  const auto runtime = Runtime::create(Library::open({{kWithoutMalloc, kWithoutLoad}}));
  CHECK_FALSE(runtime->functions().aclFinalizeReference);
  CHECK_FALSE(runtime->functions().aclrtCreateEventExWithFlag);
  const Event event(*runtime);  // by aclrtCreateEvent
  CHECK_NOTHROW(runtime->close());
}

TEST_CASE("a creating call without a status of its own still says which call failed") {
  const auto runtime = Runtime::create(Library::open({{kWithoutMalloc, kWithoutLoad}}));
  CHECK_THROWS_WITH_AS(static_cast<void>(runtime->soc_name()), "aclrtGetSocName failed: 500001 (ACL_ERROR_FAILURE)",
                       Error);
}
