// Callbacks in a stream's order: run by a thread that subscribed for the stream (aclrtProcessReport), or by the
// stream's own (aclrtLaunchHostFunc).
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "emulator/callback.h"
#include "emulator/context.h"
#include "emulator/errors.h"
#include "emulator/exports.h"
#include "emulator/lifetime.h"
#include "emulator/signal.h"
#include "emulator/stream.h"
#include "emulator/timeouts.h"

namespace emulator {
namespace {

constexpr std::size_t kMostThreads = 1024;

// A callback whose turn came. Dropping it lets a stream that waits for it go on.
struct Report {
  aclrtCallback function;
  void* user_data;
  std::shared_ptr<Signal> done;
};

// What one thread has to run.
class Channel {
 public:
  explicit Channel(int device) : device_(device) {}

  int device() const { return device_; }

  void push(Report report) {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      report.done->fire();
      return;
    }
    reports_.push_back(std::move(report));
    arrived_.notify_one();
  }

  std::optional<Report> pop(Timeout timeout) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return closed_ || !reports_.empty(); };
    if (!timeout) {
      arrived_.wait(lock, ready);
    } else {
      arrived_.wait_for(lock, *timeout, ready);
    }
    if (reports_.empty()) return std::nullopt;
    Report report = std::move(reports_.front());
    reports_.pop_front();
    return report;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const Report& report : reports_) report.done->fire();
    reports_.clear();
    arrived_.notify_all();
  }

 private:
  const int device_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Report> reports_;  // guarded by mutex_
  bool closed_ = false;         // guarded by mutex_
};

using StreamKey = std::weak_ptr<Stream>;  // compared by owner, so that a stream that is gone stays distinct

struct Subscriptions {
  std::mutex mutex;
  std::map<std::uint64_t, std::shared_ptr<Channel>> channels;  // by thread; guarded by mutex, as all below
  std::map<StreamKey, std::uint64_t, std::owner_less<StreamKey>> threads;
  std::set<StreamKey, std::owner_less<StreamKey>> host_function_users;
};

// Leaked on purpose: streams may deliver while the program exits.
Subscriptions& subscriptions() {
  static Subscriptions& all = *new Subscriptions();
  return all;
}

void subscribe(std::uint64_t thread, const std::shared_ptr<Stream>& stream) {
  Subscriptions& all = subscriptions();
  const std::lock_guard lock(all.mutex);
  require(!all.threads.contains(stream), ACL_ERROR_RT_STREAM_SUBSCRIBE, "the stream is subscribed already");
  require(!all.host_function_users.contains(stream), ACL_ERROR_RT_STREAM_SUBSCRIBE,
          "the stream runs host functions (aclrtLaunchHostFunc) and cannot be subscribed besides");
  const int device = stream->context().device();
  const auto known = all.channels.find(thread);
  require(known == all.channels.end() || known->second->device() == device, ACL_ERROR_RT_THREAD_SUBSCRIBE,
          "the thread is subscribed for streams of another device");
  if (known == all.channels.end()) {
    require(all.channels.size() < kMostThreads, ACL_ERROR_RT_THREAD_SUBSCRIBE, "1024 threads are subscribed already");
    all.channels.emplace(thread, std::make_shared<Channel>(device));
  }
  all.threads.emplace(stream, thread);
}

void unsubscribe(std::uint64_t thread, const std::shared_ptr<Stream>& stream) {
  Subscriptions& all = subscriptions();
  const std::lock_guard lock(all.mutex);
  const auto found = all.threads.find(stream);
  require(found != all.threads.end() && found->second == thread, ACL_ERROR_RT_THREAD_SUBSCRIBE,
          "the thread is not subscribed for the stream");
  all.threads.erase(found);
  for (const auto& [other, owner] : all.threads) {
    if (owner == thread) return;
  }
  all.channels.at(thread)->close();
  all.channels.erase(thread);
}

std::shared_ptr<Channel> channel_of(const std::shared_ptr<Stream>& stream) {
  Subscriptions& all = subscriptions();
  const std::lock_guard lock(all.mutex);
  const auto found = all.threads.find(stream);
  require(found != all.threads.end(), ACL_ERROR_RT_STREAM_NO_CB_REG, "no thread is subscribed for the stream");
  return all.channels.at(found->second);
}

std::shared_ptr<Channel> channel_of_this_thread() {
  Subscriptions& all = subscriptions();
  const std::lock_guard lock(all.mutex);
  const auto found = all.channels.find(static_cast<std::uint64_t>(pthread_self()));
  require(found != all.channels.end(), ACL_ERROR_RT_THREAD_SUBSCRIBE, "this thread is not subscribed for any stream");
  return found->second;
}

void run_report(const Report& report) {
  const CallbackScope scope;
  report.function(report.user_data);
}

}  // namespace

void forget_subscriptions() {
  Subscriptions& all = subscriptions();
  const std::lock_guard lock(all.mutex);
  for (const auto& [thread, channel] : all.channels) channel->close();
  all.channels.clear();
  all.threads.clear();
  all.host_function_users.clear();
}

}  // namespace emulator

using namespace emulator;

aclError aclrtSubscribeReport(uint64_t thread_id, aclrtStream stream) {
  return exported(__func__, [&] { subscribe(thread_id, require_stream(stream, require_context())); });
}

aclError aclrtUnSubscribeReport(uint64_t thread_id, aclrtStream stream) {
  return exported(__func__, [&] { unsubscribe(thread_id, require_stream(stream, require_context())); });
}

aclError aclrtProcessReport(int32_t timeout) {
  return exported(__func__, [&] {
    require_initialized();
    require_outside_callback();
    const Timeout limit = require_timeout(timeout, ACL_ERROR_INVALID_PARAM);
    const std::optional<Report> report = channel_of_this_thread()->pop(limit);
    require(report.has_value(), ACL_ERROR_RT_REPORT_TIMEOUT, "the time is over and no callback came");
    run_report(*report);
    report->done->fire();
  });
}

aclError aclrtLaunchCallback(aclrtCallback fn, void* user_data, aclrtCallbackBlockType block_type, aclrtStream stream) {
  return exported(__func__, [&] {
    require(fn != nullptr, ACL_ERROR_RT_PARAM_INVALID, "fn is NULL");
    require(block_type == ACL_CALLBACK_NO_BLOCK || block_type == ACL_CALLBACK_BLOCK, ACL_ERROR_INVALID_PARAM,
            "the block type is not ACL_CALLBACK_NO_BLOCK or ACL_CALLBACK_BLOCK");
    const std::shared_ptr<Stream> target = require_own_stream(stream, require_context());
    const Report report{fn, user_data, std::make_shared<Signal>()};
    const bool blocks = block_type == ACL_CALLBACK_BLOCK;
    target->enqueue([channel = channel_of(target), report, blocks, stop = target->stop_token()] {
      channel->push(report);
      if (blocks) report.done->wait(std::nullopt, stop);
      return ACL_SUCCESS;
    });
  });
}

aclError aclrtLaunchHostFunc(aclrtStream stream, aclrtHostFunc fn, void* args) {
  return exported(__func__, [&] {
    require(fn != nullptr, ACL_ERROR_RT_PARAM_INVALID, "fn is NULL");
    const std::shared_ptr<Stream> target = require_own_stream(stream, require_context());
    {
      Subscriptions& all = subscriptions();
      const std::lock_guard lock(all.mutex);
      require(!all.threads.contains(target), ACL_ERROR_RT_STREAM_SUBSCRIBE,
              "the stream is subscribed (aclrtSubscribeReport) and cannot run host functions besides");
      std::erase_if(all.host_function_users, [](const StreamKey& key) { return key.expired(); });
      all.host_function_users.insert(target);
    }
    target->enqueue([fn, args] {
      const CallbackScope scope;
      fn(args);
      return ACL_SUCCESS;
    });
  });
}
