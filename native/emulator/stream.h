// A stream: a FIFO queue of tasks on a worker thread of its own, started by the first task.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "acl/abi.h"
#include "emulator/errors.h"

namespace emulator {

class Context;

// Milliseconds; nullopt waits for ever.
using Timeout = std::optional<std::chrono::milliseconds>;

class Stream {
 public:
  // A task's non-zero result is an asynchronous failure of the stream, its texts (fail) included. A task that waits for
  // something else than work of its own must end when `stop_token()`, taken at submission, asks it to.
  using Task = std::function<aclError()>;

  Stream(Context& context, std::int32_t id);
  ~Stream();  // drops what is queued and joins the worker
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // REQUIRES: the context outlives the stream's use; a destroyed context has no live streams.
  Context& context() const { return context_; }
  std::int32_t id() const { return id_; }

  // Submits a task and returns its ticket (1, 2, ...). Refuses on a context that stopped at a failure, or a closed
  // stream.
  std::uint64_t enqueue(Task task);

  // Keeps a failure as if a task had just returned it.
  void post(Failure failure);

  // Waits for the tasks submitted so far. False when the time is over.
  bool wait(Timeout timeout = std::nullopt);
  bool idle() const;

  // The oldest failure not yet reported of the tasks up to `ticket` (all, by default). Forgets all of those.
  Failure take_failure(std::uint64_t ticket = UINT64_MAX);

  // wait + take_failure, reported in this thread. `expired` is what a time-out returns.
  aclError synchronize(Timeout timeout = std::nullopt);

  std::stop_token stop_token() const;

  // Drops what is queued, asks the running task to stop, and fails who waits with 107023. The stream stays usable.
  void abort();

  // Ends the worker: after the queue is done, or dropping it. Later submissions are refused. Idempotent.
  void close(bool drop);

 private:
  struct Item {
    std::uint64_t ticket;
    Task task;
    aclError fault;
  };
  struct Reported {
    std::uint64_t ticket;
    Failure failure;
  };

  void run();
  void run_item(Item item);
  void keep(std::uint64_t ticket, Failure failure);  // REQUIRES: mutex_ held

  Context& context_;
  const std::int32_t id_;

  mutable std::mutex mutex_;
  std::condition_variable work_;  // the worker waits: something queued, or closed
  std::condition_variable done_;  // synchronizers wait: a task ended, or an abort
  std::deque<Item> queue_;        // guarded by mutex_, as all below
  std::deque<Reported> failures_;
  std::uint64_t submitted_ = 0;  // ticket of the newest task
  std::uint64_t completed_ = 0;  // ticket up to which all is done or dropped
  std::uint64_t aborts_ = 0;
  bool closed_ = false;
  std::stop_source stop_;
  std::thread worker_;
};

// The stream of a handle; nullptr handle = the default stream of `current`; unknown or freed -> nullptr.
std::shared_ptr<Stream> find_stream(aclrtStream handle, Context& current);

// The same, refusing an unknown handle (107017) and a stream of another context (107003): what submissions require.
std::shared_ptr<Stream> require_stream(aclrtStream handle, Context& current);

}  // namespace emulator
