#include "wire/outbox.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace npuserve::wire {

Outbox::Outbox() : event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Outbox::~Outbox() { ::close(event_fd_); }

void Outbox::push(std::unique_ptr<InferCall> call) noexcept {
  bool is_first = false;
  {
    const core::MutexLock lock(mutex_);
    is_first = finished_.empty();
    finished_.push_back(std::move(call));
  }
  // An eventfd that is readable already needs no second write: the loop takes all.
  if (is_first) eventfd_write(event_fd_, 1);
}

void Outbox::take(std::vector<std::unique_ptr<InferCall>>& calls) {
  const core::MutexLock lock(mutex_);
  calls.reserve(finished_.capacity());
  // Read when nothing can fail any more, and before the calls are taken: a push in between wakes the loop once too
  // often, never too seldom.
  eventfd_t count = 0;
  eventfd_read(event_fd_, &count);
  finished_.swap(calls);
}

void Outbox::reserve(size_t calls) {
  const core::MutexLock lock(mutex_);
  finished_.reserve(calls);
}

void Outbox::wait() const {
  pollfd entry{.fd = event_fd_, .events = POLLIN, .revents = 0};
  while (::poll(&entry, 1, -1) < 0 && errno == EINTR) continue;
}

}  // namespace npuserve::wire
