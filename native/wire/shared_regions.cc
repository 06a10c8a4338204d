#include "wire/shared_regions.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace npuserve::wire {
namespace {

std::span<std::byte> mapped(int file, uint64_t offset, size_t size_bytes) {
  void* const bytes = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, static_cast<off_t>(offset));
  if (bytes == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return {static_cast<std::byte*>(bytes), size_bytes};
}

}  // namespace

SharedRegion::SharedRegion(int file, uint64_t offset, size_t size_bytes)
    : bytes_(mapped(file, offset, size_bytes)),
      least_file_bytes_(offset + size_bytes),
      file_(fcntl(file, F_DUPFD_CLOEXEC, 0)) {
  if (file_ >= 0) return;
  const int error = errno;
  munmap(bytes_.data(), bytes_.size());
  throw std::system_error(error, std::generic_category(), "fcntl");
}

SharedRegion::~SharedRegion() {
  munmap(bytes_.data(), bytes_.size());
  close(file_);
}

std::span<std::byte> SharedRegion::part(uint64_t offset, uint64_t size_bytes) const {
  const uint64_t size = bytes_.size();
  if (offset >= size || size_bytes > size - offset) return {};
  struct stat file{};
  if (fstat(file_, &file) != 0 || static_cast<uint64_t>(file.st_size) < least_file_bytes_) return {};
  return bytes_.subspan(offset, size_bytes);
}

bool SharedRegions::add(std::string name, int file, uint64_t offset, size_t size_bytes) {
  try {
    regions_.insert_or_assign(std::move(name), std::make_shared<const SharedRegion>(file, offset, size_bytes));
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void SharedRegions::remove(std::string_view name) {
  if (const auto found = regions_.find(name); found != regions_.end()) regions_.erase(found);
}

std::shared_ptr<const SharedRegion> SharedRegions::find(std::string_view name) const {
  const auto found = regions_.find(name);
  return found == regions_.end() ? nullptr : found->second;
}

}  // namespace npuserve::wire
