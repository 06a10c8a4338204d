#include "emulator/errors.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <vector>

#include "emulator/exports.h"
#include "emulator/per_thread.h"

namespace emulator {
namespace {

using Clock = std::chrono::system_clock;

struct Message {
  aclError code;
  Clock::time_point time;
  std::string text;
};

// A caller that never asks must not grow the store without bound.
constexpr std::size_t kMostMessages = 64;

class Messages {
 public:
  void add(Message message) {
    const std::lock_guard lock(mutex_);
    if (messages_.size() == kMostMessages) messages_.erase(messages_.begin());
    messages_.push_back(std::move(message));
  }

  std::vector<Message> take() {
    std::vector<Message> taken;
    const std::lock_guard lock(mutex_);
    taken.swap(messages_);
    return taken;
  }

 private:
  std::mutex mutex_;
  std::vector<Message> messages_;  // guarded by mutex_
};

std::atomic<bool> whole_process{false};
thread_local aclError last_runtime_code = ACL_SUCCESS;
thread_local const char* running_call = "";

// Leaked on purpose: calls may come while the program exits, after static destructors.
Messages& process_messages() {
  static Messages& messages = *new Messages();
  return messages;
}

Messages& messages() { return whole_process.load() ? process_messages() : per_thread<Messages>(); }

const char* vendor_class(aclError code) {
  if (code == ACL_ERROR_RT_MEMORY_ALLOCATION) return "EL0004";
  if (code == ACL_ERROR_RT_NO_STREAM_RESOURCE) return "EE1023";
  if (code >= 100000 && code < 107000) return "EH0001";
  if (code >= 107000 && code < 108000) return "EE1001";
  if (code >= 145000 && code < 146000) return "E13025";
  return "EE9999";
}

std::string formatted(const Message& message) {
  const std::time_t seconds = Clock::to_time_t(message.time);
  std::tm local{};
  localtime_r(&seconds, &local);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(message.time.time_since_epoch()).count();
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%d-%H:%M:%S", &local);
  char head[96];
  std::snprintf(head, sizeof head, "%s: [PID: %d] %s.%03d.%03d ", vendor_class(message.code),
                static_cast<int>(getpid()), date, static_cast<int>(micros / 1000 % 1000),
                static_cast<int>(micros % 1000));
  return head + message.text + " (" + std::to_string(message.code) + ")\n";
}

bool is_runtime_code(aclError code) {
  const int group = code / 1000;
  return group == 107 || group == 207 || group == 507;
}

}  // namespace

void refuse(aclError code, std::string text) { throw Refusal({code, std::move(text)}); }

aclError fail(aclError code, const std::string& text) {
  if (is_runtime_code(code)) last_runtime_code = code;
  messages().add({code, Clock::now(), std::string(running_call) + ": " + text});
  return code;
}

std::string take_recent_text() {
  const std::vector<Message> taken = messages().take();
  std::string text;
  for (auto message = taken.rbegin(); message != taken.rend(); ++message) text += formatted(*message);
  return text;
}

std::string take_plain_text() {
  std::string text;
  for (const Message& message : messages().take()) text += (text.empty() ? "" : "; ") + message.text;
  return text;
}

void keep_text_for_process(bool whole) { whole_process.store(whole); }

aclError last_error() { return last_runtime_code; }
void clear_last_error() { last_runtime_code = ACL_SUCCESS; }

CallScope::CallScope(const char* function) noexcept : outer_(running_call) { running_call = function; }
CallScope::~CallScope() { running_call = outer_; }

const char* current_call() noexcept { return running_call; }

aclError report_exception() noexcept {
  try {
    try {
      throw;
    } catch (const Refusal& refusal) {
      return fail(refusal.failure().code, refusal.failure().text);
    } catch (const std::bad_alloc&) {
      return fail(ACL_ERROR_BAD_ALLOC, "the host is out of memory");
    } catch (const std::exception& error) {
      return fail(ACL_ERROR_INTERNAL_ERROR, error.what());
    } catch (...) {
      return fail(ACL_ERROR_INTERNAL_ERROR, "an exception that tells nothing");
    }
  } catch (...) {
    return ACL_ERROR_BAD_ALLOC;  // not even the text could be kept
  }
}

}  // namespace emulator

using namespace emulator;

const char* aclGetRecentErrMsg() {
  try {
    std::string text = take_recent_text();
    if (text.empty()) return nullptr;
    struct Returned {
      std::string text;
    };
    std::string& kept = per_thread<Returned>().text;
    kept = std::move(text);
    return kept.c_str();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

aclError aclrtPeekAtLastError(aclrtLastErrLevel) { return last_error(); }

aclError aclrtGetLastError(aclrtLastErrLevel) {
  const aclError code = last_error();
  clear_last_error();
  return code;
}
