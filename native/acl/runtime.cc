#include "acl/runtime.h"

#include <new>
#include <utility>

#include "acl/call.h"

namespace npuserve::acl {
namespace {

// After aclFinalize everything is gone already, also when another part of the process called it.
bool is_shut_down(aclError code) {
  return code == ACL_ERROR_UNINITIALIZE || code == ACL_ERROR_GE_EXEC_NOT_INIT || code == ACL_ERROR_REPEAT_FINALIZE;
}

// Takes back this runtime's aclInit, and no more: another part of the process may have initialised AscendCL first.
aclError finalize(const FunctionTable& table, bool initialised_here) {
  if (table.aclFinalizeReference) return table.aclFinalizeReference(nullptr);
  return initialised_here ? table.aclFinalize() : ACL_SUCCESS;
}

}  // namespace

Runtime::Runtime(std::shared_ptr<const Library> library) : library_(std::move(library)) {
  const FunctionTable& table = functions();
  const aclError code = table.aclInit(nullptr);
  if (code != ACL_SUCCESS && code != ACL_ERROR_REPEAT_INITIALIZE) {
    open_ = false;
    throw error_of(table, table.aclInit.name, code);
  }
  initialised_here_ = code == ACL_SUCCESS;
}

std::shared_ptr<Runtime> Runtime::create(std::shared_ptr<const Library> library) {
  return std::shared_ptr<Runtime>(new Runtime(std::move(library)));  // the constructor is private
}

Runtime::~Runtime() {
  try {
    close();
  } catch (const Error& error) {
    note_failed_release(error.call().c_str(), error.code());
  }
}

void Runtime::close() {
  if (!open_.exchange(false)) return;
  const FunctionTable& table = functions();
  const aclError code = finalize(table, initialised_here_);
  if (code != ACL_SUCCESS && !is_shut_down(code)) throw error_of(table, table.aclFinalize.name, code);
}

int Runtime::device_count() const {
  std::uint32_t count = 0;
  check(*this, functions().aclrtGetDeviceCount, &count);
  return static_cast<int>(count);
}

std::string Runtime::soc_name() const { return created(*this, functions().aclrtGetSocName); }

bool Runtime::uses_device(int id) const {
  const core::MutexLock lock(devices_mutex_);
  const auto users = device_users_.find(id);
  return users != device_users_.end() && users->second > 0;
}

void Runtime::count_device_user(int id) {
  const core::MutexLock lock(devices_mutex_);
  ++device_users_[id];
}

void Runtime::forget_device_user(int id) noexcept {
  const core::MutexLock lock(devices_mutex_);
  if (const auto users = device_users_.find(id); users != device_users_.end()) --users->second;
}

std::string Runtime::last_failed_release() const {
  const core::MutexLock lock(failure_mutex_);
  return last_failed_release_;
}

void Runtime::note_failed_release(const char* call, int code) noexcept {
  if (is_shut_down(code)) return;
  failed_releases_.fetch_add(1, std::memory_order_relaxed);
  try {
    std::string text = error_of(functions(), call, code).what();
    const core::MutexLock lock(failure_mutex_);
    last_failed_release_ = std::move(text);
  } catch (const std::bad_alloc&) {
    // Counted; there is no memory for its text.
    return;
  }
}

}  // namespace npuserve::acl
