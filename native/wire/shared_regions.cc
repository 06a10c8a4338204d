#include "wire/shared_regions.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace npuserve::wire {
SharedRegion::SharedRegion(int file, uint64_t offset, BorrowedMemory memory)
    : memory_(std::move(memory)),
      least_file_bytes_(offset + memory_.bytes.size()),
      file_(fcntl(file, F_DUPFD_CLOEXEC, 0)) {
  if (file_ < 0) throw std::system_error(errno, std::generic_category(), "fcntl");
}

SharedRegion::~SharedRegion() { close(file_); }

std::span<std::byte> SharedRegion::part(uint64_t offset, uint64_t size_bytes) const {
  const uint64_t size = memory_.bytes.size();
  if (offset >= size || size_bytes > size - offset) return {};
  struct stat file{};
  if (fstat(file_, &file) != 0 || static_cast<uint64_t>(file.st_size) < least_file_bytes_) return {};
  return memory_.bytes.subspan(offset, size_bytes);
}

bool SharedRegions::add(std::string name, int file, uint64_t offset, BorrowedMemory memory) {
  try {
    regions_.insert_or_assign(std::move(name), std::make_shared<const SharedRegion>(file, offset, std::move(memory)));
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
