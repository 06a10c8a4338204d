#include "ort/runtime.h"

#include <dlfcn.h>

#include "ort/call.h"

namespace npuserve::ort {
namespace {

constexpr char kLogId[] = "npuserve";

// RTLD_LOCAL: the Python package has a copy of its own in this process, and neither may see the other's symbols.
const OrtApiBase& load(const std::string& file) {
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw LibraryError(dlerror());
  using GetApiBase = const OrtApiBase* (*)() noexcept;
  const auto get_api_base = reinterpret_cast<GetApiBase>(dlsym(library, kGetApiBase));
  dlclose(library);
  if (get_api_base == nullptr) throw LibraryError(file + ": missing symbol: " + kGetApiBase);
  return *get_api_base();
}

}  // namespace

Runtime::Runtime(const std::string& file) {
  const OrtApiBase& base = load(file);
  version_ = base.get_version_string();
  const void* const api = base.get_api(kApiVersion);
  if (api == nullptr) {
    throw LibraryError(file + ": ONNX Runtime " + version_ + " has no API version " + std::to_string(kApiVersion) +
                       ": 1." + std::to_string(kApiVersion) + " or later is needed");
  }
  functions_ = std::make_unique<FunctionTable>(api);
  try {
    check(*functions_, functions_->create_env(kLogWarning, kLogId, &environment_));
    check(*functions_, functions_->create_cpu_memory_info(kDeviceAllocator, kMemoryDefault, &host_memory_));
    check(*functions_, functions_->create_run_options(&silent_run_));
    check(*functions_, functions_->set_run_log_severity(silent_run_, kLogFatal));
  } catch (...) {
    release();
    throw;
  }
}

// Null is nothing to release.
void Runtime::release() noexcept {
  functions_->release_run_options(silent_run_);
  functions_->release_memory_info(host_memory_);
  functions_->release_env(environment_);
}

Runtime::~Runtime() { release(); }

std::shared_ptr<const Runtime> Runtime::open(const std::string& file) {
  return std::shared_ptr<const Runtime>(new Runtime(file));  // the constructor is private
}

}  // namespace npuserve::ort
