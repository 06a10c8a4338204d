// What only a process of its own can show: each test runs this program again with the one case that it is about.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "emulator/ascendcl.h"

namespace {

// The exit code of this program run with that case alone; -1 if it was killed. REQUIRES: the library is not
// initialized.
int run_alone(const std::string& test_case) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const int status = std::system((program + " --no-skip --test-case='" + test_case + "' >/dev/null").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void sleep_a_little(void*) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

// Uses the library after main has returned, as an owner in a static variable would.
struct LateOwner {
  void* pinned = nullptr;
  ~LateOwner() {
    if (pinned == nullptr) return;
    if (aclrtFreeHost(pinned) != ACL_SUCCESS || aclrtFree(nullptr) != ACL_ERROR_INVALID_PARAM) std::_Exit(4);
    if (aclGetRecentErrMsg() == nullptr) std::_Exit(5);
  }
};

}  // namespace

TEST_CASE("child: exit with work in flight" * doctest::skip()) {
  static LateOwner owner;
  aclInit(nullptr);
  aclrtSetDevice(0);
  owner.pinned = test::pinned_memory(64);
  for (int stream = 0; stream < 4; ++stream) {
    const aclrtStream busy = test::new_stream();
    for (int task = 0; task < 1000; ++task) aclrtLaunchHostFunc(busy, sleep_a_little, nullptr);
  }
  std::exit(3);
}

TEST_CASE("child: default device" * doctest::skip()) {
  const std::string path = std::filesystem::temp_directory_path() / ("acl_default_" + std::to_string(getpid()));
  std::ofstream(path) << R"({"defaultDevice": {"default_device": "1"}, "err_msg_mode": "1"})";
  const test::Variable devices("NPUSERVE_EMULATOR_DEVICES", "2");
  REQUIRE(aclInit(path.c_str()) == ACL_SUCCESS);
  std::remove(path.c_str());
  int32_t device = -1;
  std::thread([&] {
    CHECK(aclrtGetDevice(&device) == ACL_SUCCESS);
    CHECK(aclrtFree(nullptr) == ACL_ERROR_INVALID_PARAM);
  }).join();
  CHECK(device == 1);
  CHECK(test::recent_text().find("aclrtFree") != std::string::npos);
  CHECK(aclFinalize() == ACL_SUCCESS);
}

TEST_CASE("a program may exit without aclFinalize, with work in flight and owners in static variables") {
  CHECK(run_alone("child: exit with work in flight") == 3);
}

TEST_CASE("a default device makes threads work without setting one, and texts can be the whole process's") {
  CHECK(run_alone("child: default device") == 0);
}
