#include "emulator/stream.h"

#include <string>
#include <utility>

#include "emulator/context.h"
#include "emulator/device.h"

namespace emulator {
namespace {

constexpr char kStopped[] = "the stream's context stopped at an earlier failure";

thread_local int callback_depth = 0;

}  // namespace

Stream::Stream(Context& context, std::int32_t id, std::shared_ptr<Context> owner)
    : owner_(std::move(owner)), context_(context), id_(id) {}

Stream::~Stream() { close(true); }

std::uint64_t Stream::enqueue(Task task) {
  require_outside_callback();
  const std::lock_guard lock(mutex_);
  require(!closed_, ACL_ERROR_RT_INVALID_HANDLE, "the stream was destroyed");
  if (const aclError code = context_.stopped_by(); code != ACL_SUCCESS) {
    refuse(code, kStopped);
  }
  queue_.push_back({++submitted_, current_call(), take_delayed_fault(), std::move(task)});
  if (!worker_.joinable()) worker_ = std::thread([this] { run(); });
  work_.notify_one();
  return submitted_;
}

void Stream::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Item item = std::move(queue_.front());
    queue_.pop_front();
    running_ = true;
    lock.unlock();
    Failure failure = run_item(item);
    item.task = nullptr;  // before completion: what it holds is free once a synchronizer returns
    lock.lock();
    running_ = false;
    if (failure.code != ACL_SUCCESS) {
      if (context_.stops_on_failure()) context_.stopped_by(failure.code);
      failures_.push_back({item.ticket, std::move(failure)});
    }
    // An abort meanwhile has dropped all that was queued: nothing is left before `submitted_`.
    completed_ = queue_.empty() ? submitted_ : item.ticket;
    done_.notify_all();
  }
}

Failure Stream::run_item(Item& item) const {
  if (context_.stopped_by() != ACL_SUCCESS) return {};
  const CallScope scope(item.call);
  aclError code = ACL_SUCCESS;
  try {
    code = item.task();
  } catch (...) {
    code = report_exception();
  }
  std::string text = take_plain_text();
  if (item.fault != ACL_SUCCESS) return {item.fault, std::string(item.call) + ": injected fault"};
  if (code == ACL_SUCCESS) return {};
  return {code, text.empty() ? std::string(item.call) + ": the device reports a failure" : std::move(text)};
}

void Stream::post(Failure failure) {
  const std::lock_guard lock(mutex_);
  failures_.push_back({submitted_, std::move(failure)});
}

bool Stream::wait(Timeout timeout) {
  require_outside_callback();
  std::unique_lock lock(mutex_);
  const std::uint64_t target = submitted_;
  const std::uint64_t aborts = aborts_;
  const auto over = [&] { return completed_ >= target || aborts_ != aborts; };
  if (!timeout) {
    done_.wait(lock, over);
  } else if (!done_.wait_for(lock, *timeout, over)) {
    return false;
  }
  require(aborts_ == aborts, ACL_ERROR_RT_STREAM_ABORT, "the stream was aborted meanwhile");
  return true;
}

bool Stream::idle() const {
  const std::lock_guard lock(mutex_);
  return completed_ == submitted_;
}

Failure Stream::take_failure(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  Failure oldest;
  while (!failures_.empty() && failures_.front().ticket <= ticket) {
    if (oldest.code == ACL_SUCCESS) oldest = std::move(failures_.front().failure);
    failures_.pop_front();
  }
  const aclError stopped = context_.stopped_by();
  if (oldest.code == ACL_SUCCESS && stopped != ACL_SUCCESS) return {stopped, kStopped};
  return oldest;
}

void Stream::synchronize(Timeout timeout) {
  require(wait(timeout), ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "the time is over, the stream's work goes on");
  Failure failure = take_failure();
  if (failure.code != ACL_SUCCESS) throw Refusal(std::move(failure));
}

std::stop_token Stream::stop_token() const {
  const std::lock_guard lock(mutex_);
  return stop_.get_token();
}

std::deque<Stream::Item> Stream::drop_queue() {
  std::deque<Item> dropped;
  dropped.swap(queue_);
  if (!running_) completed_ = submitted_;
  return dropped;
}

void Stream::abort() {
  std::deque<Item> dropped;
  std::stop_source stop;
  {
    const std::lock_guard lock(mutex_);
    dropped = drop_queue();
    std::swap(stop, stop_);
    ++aborts_;
    done_.notify_all();
  }
  stop.request_stop();
}

void Stream::close(bool drop) {
  std::deque<Item> dropped;
  std::stop_source stop{std::nostopstate};
  std::thread worker;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    if (drop) {
      dropped = drop_queue();
      stop = stop_;
      done_.notify_all();
    }
    worker.swap(worker_);
    work_.notify_one();
  }
  stop.request_stop();
  if (worker.get_id() == std::this_thread::get_id()) {
    worker.detach();  // a callback ends the program: nobody is left to wait for it
  } else if (worker.joinable()) {
    worker.join();
  }
}

std::shared_ptr<Stream> find_stream(aclrtStream handle, Context& current) {
  if (handle != nullptr) return streams().find(handle);
  return {current.shared_from_this(), &current.default_stream()};
}

std::shared_ptr<Stream> require_stream(aclrtStream handle, Context& current) {
  std::shared_ptr<Stream> stream = find_stream(handle, current);
  require(stream != nullptr, ACL_ERROR_RT_INVALID_HANDLE,
          "the stream is not a live stream (destroyed, or of another kind)");
  return stream;
}

std::shared_ptr<Stream> require_own_stream(aclrtStream handle, Context& current) {
  std::shared_ptr<Stream> stream = require_stream(handle, current);
  require(&stream->context() == &current, ACL_ERROR_RT_STREAM_CONTEXT,
          "the stream belongs to another context than the thread's current one");
  return stream;
}

void require_outside_callback() {
  require(callback_depth == 0, ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
          "not allowed in a callback: it would wait for the stream that waits for the callback");
}

CallbackScope::CallbackScope() noexcept { ++callback_depth; }
CallbackScope::~CallbackScope() { --callback_depth; }

}  // namespace emulator
