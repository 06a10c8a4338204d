// What the endpoints of an event loop have in common, whatever they speak: inferences on their way to sinks and back,
// and how a shell drives them.
//
// One thread, the loop's: the shell calls in when bytes came, when time passed, when the file descriptor is readable.
// After each of these it takes the events for its handlers and flushes the connections that were touched. The engine's
// threads meet the loop in the queue's outbox and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "wire/infer_call.h"
#include "wire/infer_codec.h"
#include "wire/infer_queue.h"
#include "wire/infer_request.h"
#include "wire/infer_routes.h"
#include "wire/memory_budget.h"
#include "wire/observation.h"

namespace npuserve::wire {

// A request that a model accepted and failed to answer (INTERNAL), for the log.
struct Failure {
  std::string model;
  std::string message;
};

class LoopEndpoint {
 public:
  LoopEndpoint(const LoopEndpoint&) = delete;
  LoopEndpoint& operator=(const LoopEndpoint&) = delete;

  const MemoryBudget& budget() const { return budget_; }
  int file_descriptor() const { return queue_.file_descriptor(); }

  // Replaces all routes. What was submitted goes on.
  void set_routes(const std::vector<Route>& routes) { routes_.replace(routes); }

  // Lets every connection finish once its requests are answered.
  virtual void shut_down(int64_t now_ns) = 0;

  // --- Connections. Their ids are never used again, and none is 0.

  virtual void receive(uint64_t connection, std::span<const std::byte> bytes, int64_t now_ns) = 0;
  virtual void set_writable(uint64_t connection, bool writable, int64_t now_ns) = 0;

  // Appends what is to be sent, about so many bytes; what the output brings about is acted on.
  virtual void take_output(uint64_t connection, std::string& out, size_t about_bytes, int64_t now_ns) = 0;

  // The transport is gone: its requests are cancelled.
  virtual void close(uint64_t connection, int64_t now_ns) = 0;

  virtual size_t connections() const = 0;

  // Takes the ids of the connections that may have something to send, or to say goodbye, since this was last called.
  virtual void take_touched(std::vector<uint64_t>& connections) = 0;

  // --- Time and completions.

  virtual void advance(int64_t now_ns) = 0;
  virtual int64_t next_wake_ns() const = 0;

  // What was received goes to its sinks in one piece, so that they wake once for all that a round of the loop brought:
  // the shell calls this when it has read what there was to read.
  bool has_gathered() const { return queue_.has_gathered(); }
  void submit_gathered() { queue_.submit_gathered(); }

  // Answers the requests that the outbox holds.
  void deliver(int64_t now_ns);

  // Gives what was released of the budget to those that wait for it. The shell calls it last of all.
  virtual void grant_waiting(int64_t now_ns) = 0;

  // Takes the oldest failure of deliver(). False if there is none.
  bool next_failure(Failure& failure);

  // What is told of the requests that routes answered; nothing unless it is asked.
  Observation& observation() { return observation_; }

  // Whether no request is open and every answer has been taken as output.
  virtual bool is_quiet() const = 0;

 protected:
  // small_bytes: of the budget's lane for small messages. Throws std::system_error.
  LoopEndpoint(size_t budget_bytes, size_t small_bytes, size_t max_waiting);

  // Blocks until every submitted request has completed.
  virtual ~LoopEndpoint() = default;

  // Answers a request that has completed, if its client is still there.
  virtual void answer(InferCall& finished, int64_t now_ns) = 0;

  // Of the request that request_ views.
  std::unique_ptr<InferCall> make_call(uint64_t token, std::shared_ptr<const InferTarget> target, Message message,
                                       InferPlan& plan, int64_t now_ns);

  // Tells the observers of an answer and returns it as the client hears it.
  core::Status observed(const InferCall& finished, int64_t now_ns);

  MemoryBudget budget_;  // before what reserves from it
  InferQueue queue_;
  InferRoutes routes_;
  Observation observation_;
  InferRequest request_;  // reused, to allocate nothing a call

 private:
  std::deque<Failure> failures_;
  std::vector<std::unique_ptr<InferCall>> finished_;  // reused
};

}  // namespace npuserve::wire
