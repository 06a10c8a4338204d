#include "acl/host_registrar.h"

#include <utility>

#include "acl/errors.h"

namespace npuserve::acl {
namespace {

constexpr uintptr_t kAlignment = 64;

}  // namespace

HostRegistrar::HostRegistrar(std::shared_ptr<Runtime> runtime, int device)
    : runtime_(std::move(runtime)), device_(device) {}

HostRegistrar::~HostRegistrar() { clear(); }

bool HostRegistrar::add(std::span<std::byte> memory, std::shared_ptr<const void> owner) {
  if (!RegisteredMemory::can_register(*runtime_)) return false;
  const core::MutexLock lock(mutex_);
  if (context_) {
    context_->make_current();
  } else {
    context_.emplace(runtime_, device_);
  }
  entries_.emplace(memory.data(),
                   Entry{.owner = std::move(owner), .registration = RegisteredMemory(*runtime_, memory)});
  table_.add(memory);
  return true;
}

void HostRegistrar::remove(const std::byte* start) {
  const core::MutexLock lock(mutex_);
  const auto entry = entries_.find(start);
  if (entry == entries_.end() || !context_) return;
  context_->make_current();
  withdraw(entry);
}

void HostRegistrar::clear() noexcept {
  const core::MutexLock lock(mutex_);
  if (!context_) return;
  try {
    if (runtime_->is_open()) context_->make_current();
  } catch (const Error& error) {
    runtime_->note_failed_release(error.call().c_str(), error.code());
  }
  while (!entries_.empty()) withdraw(entries_.begin());
  context_.reset();
}

void HostRegistrar::withdraw(std::map<const std::byte*, Entry>::iterator entry) {
  table_.withdraw(entry->first);
  entries_.erase(entry);
}

core::Loan HostRegistrar::lend(std::span<const std::byte> memory) noexcept {
  if (reinterpret_cast<uintptr_t>(memory.data()) % kAlignment != 0) return {};
  return table_.lend(memory);
}

}  // namespace npuserve::acl
