#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "emulator/ascendcl.h"

namespace {

// A configuration file for the time in scope.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) : path_(std::filesystem::temp_directory_path() / "acl_XXXXXX") {
    close(mkstemp(path_.data()));
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::remove(path_.c_str()); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("aclInit counts its calls: the second returns 100002, and one aclFinalize undoes them all") {
  REQUIRE(aclInit(nullptr) == ACL_SUCCESS);
  CHECK(aclInit(nullptr) == ACL_ERROR_REPEAT_INITIALIZE);
  CHECK(aclFinalize() == ACL_SUCCESS);
  CHECK(aclFinalize() == ACL_ERROR_REPEAT_FINALIZE);
  CHECK(test::recent_text().find("aclFinalize") != std::string::npos);
}

TEST_CASE("aclFinalizeReference ends the library at the last reference and tells how many are left") {
  uint64_t left = 99;
  REQUIRE(aclInit(nullptr) == ACL_SUCCESS);
  CHECK(aclInit("") == ACL_ERROR_REPEAT_INITIALIZE);
  CHECK(aclFinalizeReference(&left) == ACL_SUCCESS);
  CHECK(left == 1);
  CHECK(aclrtSetDevice(0) == ACL_SUCCESS);
  CHECK(aclFinalizeReference(nullptr) == ACL_SUCCESS);
  CHECK(aclrtSetDevice(0) == ACL_ERROR_UNINITIALIZE);
  CHECK(aclFinalizeReference(&left) == ACL_ERROR_REPEAT_FINALIZE);
  aclGetRecentErrMsg();
}

TEST_CASE("nothing of the runtime works before aclInit") {
  uint32_t count = 0;
  void* memory = nullptr;
  CHECK(aclrtGetDeviceCount(&count) == ACL_ERROR_UNINITIALIZE);
  CHECK(aclrtMalloc(&memory, 64, ACL_MEM_MALLOC_HUGE_FIRST) == ACL_ERROR_UNINITIALIZE);
  CHECK(test::recent_text().find("aclrtMalloc: AscendCL is not initialized") != std::string::npos);
}

TEST_CASE("the library can be initialized again, and then knows nothing of before") {
  aclrtStream stale = nullptr;
  {
    const test::Device device;
    stale = test::new_stream();
  }
  const test::Device device;
  CHECK(aclrtSynchronizeStream(stale) == ACL_ERROR_RT_INVALID_HANDLE);
}

TEST_CASE("a text of a failure names call and code, newest first, and is given once, to its own thread") {
  const test::Device device;
  CHECK(aclGetRecentErrMsg() == nullptr);
  aclrtFree(nullptr);
  aclrtSetDevice(-1);
  std::thread([] { CHECK(aclGetRecentErrMsg() == nullptr); }).join();
  const std::string text = test::recent_text();
  const std::size_t newest = text.find("aclrtSetDevice: device -1");
  const std::size_t oldest = text.find("aclrtFree: devPtr is NULL (100000)");
  REQUIRE(newest != std::string::npos);
  REQUIRE(oldest != std::string::npos);
  CHECK(newest < oldest);
  CHECK(text.substr(0, 14) == "EE1001: [PID: ");
  CHECK(aclGetRecentErrMsg() == nullptr);
}

TEST_CASE("the last error of a thread is its last runtime code, and Get forgets it") {
  const test::Device device;
  aclrtGetLastError(ACL_RT_THREAD_LEVEL);
  aclrtSetDevice(77);
  aclrtFree(nullptr);  // 100000 is no runtime code
  CHECK(aclrtPeekAtLastError(ACL_RT_THREAD_LEVEL) == ACL_ERROR_RT_INVALID_DEVICEID);
  CHECK(aclrtGetLastError(ACL_RT_THREAD_LEVEL) == ACL_ERROR_RT_INVALID_DEVICEID);
  CHECK(aclrtPeekAtLastError(ACL_RT_THREAD_LEVEL) == ACL_SUCCESS);
  aclGetRecentErrMsg();
}

TEST_CASE("versions and the name of the chip are told") {
  const test::Library library;
  int32_t major = 0;
  int32_t minor = 0;
  int32_t patch = -1;
  CHECK(aclrtGetVersion(&major, &minor, &patch) == ACL_SUCCESS);
  CHECK(major == 1);
  CHECK(minor == 16);
  char package[] = "runtime";
  char unknown[] = "nothing";
  char version[ACL_PKG_VERSION_MAX_SIZE];
  int32_t number = 0;
  CHECK(aclsysGetVersionStr(package, version) == ACL_SUCCESS);
  CHECK(std::string(version) == "8.5.0");
  CHECK(aclsysGetVersionNum(package, &number) == ACL_SUCCESS);
  CHECK(number == 80500000);
  CHECK(aclsysGetVersionNum(unknown, &number) == ACL_ERROR_INVALID_PARAM);
  CHECK(std::string(aclrtGetSocName()) == "Ascend910B3");
}

TEST_CASE("the environment chooses the chip's name and the number of devices") {
  const test::Variable soc("NPUSERVE_EMULATOR_SOC", "Ascend910B4");
  const test::Variable devices("NPUSERVE_EMULATOR_DEVICES", "3");
  const test::Library library;
  uint32_t count = 0;
  CHECK(aclrtGetDeviceCount(&count) == ACL_SUCCESS);
  CHECK(count == 3);
  CHECK(std::string(aclrtGetSocName()) == "Ascend910B4");
}

TEST_CASE("a variable that makes no sense fails aclInit and is named") {
  const test::Variable devices("NPUSERVE_EMULATOR_DEVICES", "several");
  CHECK(aclInit(nullptr) == ACL_ERROR_INVALID_PARAM);
  CHECK(test::recent_text().find("NPUSERVE_EMULATOR_DEVICES is 'several'") != std::string::npos);
  CHECK(aclFinalize() == ACL_ERROR_REPEAT_FINALIZE);
  aclGetRecentErrMsg();
}

TEST_CASE("a configuration file that cannot be read, or is no JSON, or is too deep, fails aclInit") {
  CHECK(aclInit("/nonexistent/acl.json") == ACL_ERROR_INVALID_FILE);
  CHECK(aclInit(ConfigFile(R"({"dump": )").path()) == ACL_ERROR_PARSE_FILE);
  CHECK(aclInit(ConfigFile(R"({"a":[[[[[[[[[[1]]]]]]]]]]})").path()) == ACL_ERROR_PARSE_FILE);
  CHECK(aclInit(ConfigFile(R"({"err_msg_mode": "2"})").path()) == ACL_ERROR_INVALID_PARAM);
  CHECK(aclFinalize() == ACL_ERROR_REPEAT_FINALIZE);
  aclGetRecentErrMsg();
}

TEST_CASE("after a finalize the library takes no other configuration than its first") {
  {
    const test::Library first;  // defaults, if no test before has initialized
    REQUIRE(first.code() == ACL_SUCCESS);
  }
  const ConfigFile same("{}\n");
  CHECK(aclInit(same.path()) == ACL_SUCCESS);
  CHECK(aclFinalize() == ACL_SUCCESS);
  const ConfigFile other(R"({"defaultDevice": {"default_device": "0"}})");
  CHECK(aclInit(other.path()) == ACL_ERROR_INVALID_PARAM);
  CHECK(test::recent_text().find("differs from that of the first aclInit") != std::string::npos);
}
