// aclInit to aclFinalize, versions and names.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "emulator/arena.h"
#include "emulator/callback.h"
#include "emulator/config.h"
#include "emulator/dataset.h"
#include "emulator/device.h"
#include "emulator/errors.h"
#include "emulator/event.h"
#include "emulator/exports.h"
#include "emulator/faults.h"
#include "emulator/lifetime.h"
#include "emulator/settings.h"

namespace emulator {
namespace {

// CANN 8.5.0 and its API version.
constexpr std::int32_t kApiMajor = 1;
constexpr std::int32_t kApiMinor = 16;
constexpr char kVersion[] = "8.5.0";
constexpr std::int32_t kVersionNumber = 80500000;

struct Process {
  std::mutex mutex;
  std::uint64_t references = 0;                        // guarded by mutex, as all below but the atomics
  std::vector<std::unique_ptr<const Config>> configs;  // of each aclInit; the last is in force
  std::vector<std::function<void()>> hooks;
  bool stops_at_exit = false;
  std::atomic<bool> initialized{false};
  const Config defaults;
  std::atomic<const Config*> config{&defaults};
};

// Leaked on purpose: calls may come while the program exits, after static destructors.
Process& process() {
  static Process& all = *new Process();
  return all;
}

Config read_config(const char* path) {
  if (path == nullptr || *path == '\0') return {};
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof()) {
    refuse(ACL_ERROR_INVALID_FILE, std::string("the configuration file '") + path + "' cannot be read");
  }
  return parse_config(text);
}

// Threads must not run on while what they use is torn down: a program may exit without aclFinalize.
void stop_at_exit(Process& all) {
  if (std::exchange(all.stops_at_exit, true)) return;
  std::atexit([] { end_all_devices(); });
}

// REQUIRES: the mutex held.
void initialize(Process& all, const char* config_path) {
  auto config = std::make_unique<const Config>(read_config(config_path));
  if (config->default_device) require_device(*config->default_device);
  require(all.configs.empty() || all.configs.front()->values == config->values, ACL_ERROR_INVALID_PARAM,
          "the configuration differs from that of the first aclInit");
  create_arenas(settings().device_count, settings().memory_bytes);
  stop_at_exit(all);
  keep_text_for_process(config->text_for_process);
  all.config.store(config.get());
  all.configs.push_back(std::move(config));
  all.references = 1;
  all.initialized.store(true);
}

// REQUIRES: the mutex held.
void finalize(Process& all) {
  end_all_devices();
  for (const auto& hook : all.hooks) hook();
  forget_subscriptions();
  forget_datasets();
  events().take_if([](const Event&) { return true; });
  destroy_arenas();
  all.references = 0;
  all.initialized.store(false);
}

void require_package(const char* package, const void* result) {
  require(package != nullptr && result != nullptr, ACL_ERROR_INVALID_PARAM, "pkgName or the result is NULL");
  for (const char* known : {"runtime", "driver", "compiler", "opp", "toolkit"}) {
    if (std::strcmp(package, known) == 0) return;
  }
  refuse(ACL_ERROR_INVALID_PARAM, std::string("the package '") + package + "' is not installed");
}

}  // namespace

const Config& config() { return *process().config.load(); }

void require_initialized(aclError code) {
  require(process().initialized.load(), code,
          "AscendCL is not initialized: aclInit was not called, or aclFinalize was");
}

void on_finalize(std::function<void()> hook) {
  Process& all = process();
  const std::lock_guard lock(all.mutex);
  all.hooks.push_back(std::move(hook));
}

}  // namespace emulator

using namespace emulator;

aclError aclInit(const char* config_path) {
  Process& all = process();
  const std::lock_guard lock(all.mutex);
  if (!all.initialized.load()) {
    // Before the call proper, so that a fault can strike this very call.
    const CallScope scope(__func__);
    try {
      load_settings();
      set_faults(settings().faults);
    } catch (...) {
      return report_exception();
    }
  }
  return exported(__func__, [&] {
    if (all.initialized.load()) {
      ++all.references;
      refuse(ACL_ERROR_REPEAT_INITIALIZE, "AscendCL is initialized already");
    }
    initialize(all, config_path);
  });
}

aclError aclFinalize() {
  return exported(__func__, [] {
    require_outside_callback();
    Process& all = process();
    const std::lock_guard lock(all.mutex);
    require(all.initialized.load(), ACL_ERROR_REPEAT_FINALIZE, "AscendCL is not initialized, or finalized already");
    finalize(all);
  });
}

aclError aclFinalizeReference(uint64_t* ref_count) {
  return exported(__func__, [&] {
    require_outside_callback();
    Process& all = process();
    const std::lock_guard lock(all.mutex);
    require(all.references > 0, ACL_ERROR_REPEAT_FINALIZE, "AscendCL is not initialized, or finalized already");
    if (--all.references == 0) finalize(all);
    if (ref_count != nullptr) *ref_count = all.references;
  });
}

aclError aclrtGetVersion(int32_t* major_version, int32_t* minor_version, int32_t* patch_version) {
  return exported(__func__, [&] {
    const bool given = major_version != nullptr && minor_version != nullptr && patch_version != nullptr;
    require(given, ACL_ERROR_INVALID_PARAM, "a result is NULL");
    *major_version = kApiMajor;
    *minor_version = kApiMinor;
    *patch_version = 0;
  });
}

aclError aclsysGetVersionStr(char* pkg_name, char* version_str) {
  return exported(__func__, [&] {
    require_package(pkg_name, version_str);
    std::memcpy(version_str, kVersion, sizeof kVersion);
  });
}

aclError aclsysGetVersionNum(char* pkg_name, int32_t* version_num) {
  return exported(__func__, [&] {
    require_package(pkg_name, version_num);
    *version_num = kVersionNumber;
  });
}

const char* aclrtGetSocName() {
  return exported_value<const char*>(__func__, nullptr, [] { return settings().soc_name.c_str(); });
}
