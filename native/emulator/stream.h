// A stream: a FIFO queue of tasks on a worker thread of its own, started by the first task.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "acl/abi.h"
#include "emulator/errors.h"
#include "emulator/signal.h"

namespace emulator {

class Context;

class Stream {
 public:
  // A task's non-zero result is an asynchronous failure of the stream, its texts (fail) included. A task that waits for
  // anything but its own work must end when the `stop_token()` that it took at submission asks it to. A task that is
  // dropped is destroyed without being run.
  using Task = std::function<aclError()>;

  // The context outlives the stream: `owner` holds it for streams that are not its own member.
  Stream(Context& context, std::int32_t id, std::shared_ptr<Context> owner = nullptr);
  ~Stream();  // drops what is queued and joins the worker
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Context& context() const { return context_; }
  std::int32_t id() const { return id_; }

  // Submits a task and returns its ticket (1, 2, ...). Refuses on a context that stopped at a failure, and a closed
  // stream.
  std::uint64_t enqueue(Task task);

  // Keeps a failure as if the newest task had returned it.
  void post(Failure failure);

  // Waits for the tasks submitted so far. False when the time is over. An abort meanwhile is refused with 107023.
  bool wait(Timeout timeout = std::nullopt);
  bool idle() const;

  // The oldest failure not yet reported of the tasks up to `ticket` (all, by default). Forgets all of those.
  // A context that stopped at a failure goes on reporting it.
  Failure take_failure(std::uint64_t ticket = UINT64_MAX);

  // wait, then refuses with the failure taken; 507046 when the time is over.
  void synchronize(Timeout timeout = std::nullopt);

  std::stop_token stop_token() const;

  // Drops what is queued, asks the running task to stop and fails who waits. The stream stays usable.
  void abort();

  // Ends the worker, after the queue is done or dropping it. Later submissions are refused. Idempotent.
  void close(bool drop);

 private:
  struct Item {
    std::uint64_t ticket;
    const char* call;  // what submitted it, for texts
    aclError fault;    // injected: reported in place of the task's result
    Task task;
  };
  struct Unreported {
    std::uint64_t ticket;
    Failure failure;
  };

  void run();
  Failure run_item(Item& item) const;
  std::deque<Item> drop_queue();  // REQUIRES: mutex_ held; the caller destroys the tasks without it

  const std::shared_ptr<Context> owner_;
  Context& context_;
  const std::int32_t id_;

  mutable std::mutex mutex_;
  std::condition_variable work_;  // the worker waits: something queued, or closed
  std::condition_variable done_;  // synchronizers wait: a task ended, or an abort
  std::deque<Item> queue_;        // guarded by mutex_, as all below
  std::deque<Unreported> failures_;
  std::uint64_t submitted_ = 0;  // ticket of the newest task
  std::uint64_t completed_ = 0;  // ticket up to which all is done or dropped
  std::uint64_t aborts_ = 0;
  bool running_ = false;  // a task is off the queue and not completed
  bool closed_ = false;
  std::stop_source stop_;
  std::thread worker_;
};

// The stream of a handle; nullptr handle = the default stream of `current`; unknown or freed -> nullptr.
std::shared_ptr<Stream> find_stream(aclrtStream handle, Context& current);

// The same for any live stream, refusing an unknown handle (107017).
std::shared_ptr<Stream> require_stream(aclrtStream handle, Context& current);

// What submissions require besides: a stream of the current context (107003).
std::shared_ptr<Stream> require_own_stream(aclrtStream handle, Context& current);

// Callbacks must not call what waits, allocates or submits: it would wait for the callback itself (207000).
void require_outside_callback();

// Marks the thread as running a callback, for its time in scope.
class CallbackScope {
 public:
  CallbackScope() noexcept;
  ~CallbackScope();
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;
};

}  // namespace emulator
