#include "emulator/event.h"

#include <chrono>
#include <utility>

namespace emulator {
namespace {

// Fires when the record's task is gone, run or dropped, so that no waiter hangs on a record that never comes.
class Arrival {
 public:
  explicit Arrival(std::shared_ptr<Capture> capture) : capture_(std::move(capture)) {}
  ~Arrival() { capture_->reached.fire(); }
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  void stamp() const {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    capture_->time_us.store(static_cast<std::uint64_t>(micros));
  }

 private:
  std::shared_ptr<Capture> capture_;
};

}  // namespace

void Event::record(const std::shared_ptr<Stream>& stream) {
  auto capture = std::make_shared<Capture>();
  capture->stream = stream;
  const std::lock_guard lock(mutex_);
  capture->ticket = stream->enqueue([arrival = std::make_shared<Arrival>(capture)] {
    arrival->stamp();
    return ACL_SUCCESS;
  });
  latest_ = std::move(capture);
}

void Event::reset() {
  const std::lock_guard lock(mutex_);
  latest_.reset();
}

std::shared_ptr<Capture> Event::latest() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

HandleTable<Event>& events() {
  // Leaked on purpose: events may be asked for while the program exits.
  static HandleTable<Event>& all = *new HandleTable<Event>();
  return all;
}

}  // namespace emulator
