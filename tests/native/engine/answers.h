// Requests whose answers are kept, and counted: one each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/clock.h"
#include "core/completion.h"
#include "core/mutex.h"
#include "core/request.h"
#include "core/sink.h"

namespace testing {

namespace core = npuserve::core;

struct Answer {
  int completions = 0;
  int deliveries = 0;
  core::Status status;
  core::Timing timing;
  std::vector<int32_t> values;
  core::Shape shape;
};

// Sends int32 requests of shape [rows, length] and collects what comes back. Tokens count from 0.
class Client {
 public:
  explicit Client(core::Sink& sink) : sink_(sink) {}

  // Sends the values 1000 * token + index. Returns the token.
  uint64_t send(int64_t rows, int64_t length) {
    core::Request request = prepare(rows, length);
    const uint64_t token = request.token;
    sink_.submit(std::move(request));
    return token;
  }

  // The request that send() would submit.
  core::Request prepare(int64_t rows, int64_t length) {
    const uint64_t token = reserve(rows, length);
    core::Request request;
    request.token = token;
    request.rows = rows;
    request.arrival_ns = core::steady_now_ns();
    {
      const core::MutexLock lock(mutex_);
      const std::vector<int32_t>& values = *inputs_[token];
      request.inputs = {{reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(int32_t),
                         core::Shape{rows, length}}};
    }
    request.completion = std::make_unique<Reply>(*this, token);
    return request;
  }

  // Blocks until the request is answered.
  Answer answer(uint64_t token) {
    const core::MutexLock lock(mutex_);
    while (answers_[token].completions == 0) changed_.wait(mutex_);
    return answers_[token];
  }

  bool is_answered(uint64_t token) {
    const core::MutexLock lock(mutex_);
    return answers_[token].completions > 0;
  }

  // Whether the answer is the request's own values times ten.
  bool is_right(uint64_t token) {
    const Answer got = answer(token);
    const core::MutexLock lock(mutex_);
    std::vector<int32_t> expected = *inputs_[token];
    for (int32_t& value : expected) value *= 10;
    return got.status.ok() && got.completions == 1 && got.deliveries == 1 && got.values == expected;
  }

  // Blocks until all are answered; whether each was exactly once.
  bool all_answered_once() {
    const core::MutexLock lock(mutex_);
    for (size_t token = 0; token < answers_.size(); ++token) {
      while (answers_[token].completions == 0) changed_.wait(mutex_);
    }
    bool once = true;
    for (const Answer& answer : answers_) once &= answer.completions == 1 && answer.deliveries <= 1;
    return once;
  }

  // The tokens in the order in which their requests were answered.
  std::vector<uint64_t> order() {
    const core::MutexLock lock(mutex_);
    return order_;
  }

  size_t count(core::StatusCode code) {
    const core::MutexLock lock(mutex_);
    size_t found = 0;
    for (const Answer& answer : answers_) found += answer.completions > 0 && answer.status.code() == code ? 1 : 0;
    return found;
  }

  // The next deliveries are refused by the receiver with this.
  void refuse_delivery(core::Status status) {
    const core::MutexLock lock(mutex_);
    delivery_status_ = std::move(status);
  }

 private:
  class Reply final : public core::Completion {
   public:
    Reply(Client& client, uint64_t token) : client_(client), token_(token) {}

    core::Status receive(std::span<const core::OutputView> outputs) noexcept override {
      const core::MutexLock lock(client_.mutex_);
      Answer& answer = client_.answers_[token_];
      ++answer.deliveries;
      answer.shape.assign(outputs[0].shape().begin(), outputs[0].shape().end());
      answer.values.resize(outputs[0].size_bytes() / sizeof(int32_t));
      outputs[0].copy_to(reinterpret_cast<std::byte*>(answer.values.data()));
      return client_.delivery_status_;
    }

    void complete(core::Status status, const core::Timing& timing) noexcept override {
      const core::MutexLock lock(client_.mutex_);
      Answer& answer = client_.answers_[token_];
      ++answer.completions;
      answer.status = std::move(status);
      answer.timing = timing;
      client_.order_.push_back(token_);
      client_.changed_.notify_all();
    }

   private:
    Client& client_;
    uint64_t token_;
  };

  uint64_t reserve(int64_t rows, int64_t length) {
    const core::MutexLock lock(mutex_);
    const uint64_t token = answers_.size();
    answers_.emplace_back();
    auto values = std::make_unique<std::vector<int32_t>>(static_cast<size_t>(rows * length));
    for (size_t i = 0; i < values->size(); ++i) (*values)[i] = static_cast<int32_t>(1000 * token + i);
    inputs_.push_back(std::move(values));
    return token;
  }

  core::Sink& sink_;
  core::Mutex mutex_;
  core::ConditionVariable changed_;
  std::vector<Answer> answers_;
  std::vector<uint64_t> order_;
  std::vector<std::unique_ptr<std::vector<int32_t>>> inputs_;  // each in place, as requests read it
  core::Status delivery_status_;
};

}  // namespace testing
