// The scheduler's decisions: which requests run together, on which instance, in which gear, and when; who is refused,
// and who has waited too long. A state machine driven by events: it has no clock, thread or lock, and runs nothing.
// The engine drives it with threads, Python executors with their event loop, the simulator with virtual time.
//
// Requests of one priority level wait in order of arrival; a level is served before the levels after it, which fill
// what its batches leave free. How a batch is made of them is one of two policies:
//
//   - equal shapes: Triton's dynamic batcher (policy.h). Only requests of one row shape share a batch, in order.
//   - buckets: requests of different lengths share a batch. An instance that can take one gets, of all pairs of a gear
//     and requests that it holds, the one that wastes the least: the cost of running each request in the best gear for
//     its length, summed, over the cost of the gear; or one that wastes little more and takes the requests as they came
//     (bucket_choice.h). An idle instance never waits. A request may be
//     passed over by `max_overtaken` batches, and for `max_queue_delay_ns` if that is not 0; from then on every batch
//     begins with the oldest request of its level, until that one has gone: nobody starves within a level. A batch
//     passes over a request if it is led by the request's level and all that it takes of it is younger (overtaking.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "batching/buckets.h"
#include "batching/policy.h"
#include "batching/request_queue.h"

namespace npuserve::batching {

// What the queue of a priority level does with requests that wait.
struct QueuePolicy {
  int64_t timeout_ns = 0;        // how long one waits at most; 0: no limit
  bool allows_override = false;  // whether a request's own timeout may shorten that
  bool delays = false;           // those that time out are served after all others of the level, not refused
  int64_t max_size = 0;          // requests; 0: no limit
};

struct SchedulerOptions {
  PolicyOptions batching;
  bool buckets = false;
  int64_t max_overtaken = 0;  // batches
  int64_t levels = 1;         // of priority, counted from 1
  int64_t default_level = 1;
  QueuePolicy default_policy{};
  std::map<int64_t, QueuePolicy> policies{};  // by level
  int64_t max_predicted_wait_ns = 0;          // a request that would wait longer is refused at once; 0: none is
  int64_t target_p99_ns = 0;                  // the queue delay is adjusted to hold this latency; 0: it is fixed
};

// A request as far as scheduling cares.
struct Arrival {
  int64_t rows = 1;
  int64_t arrival_ns = 0;
  int64_t capacity_rows = 1;         // the most rows of its row shape that any gear holds; at least `rows`
  std::vector<int64_t> row_shape{};  // equal shapes: what may differ of the non-batch dimensions
  size_t bucket = 0;                 // buckets: the narrowest that holds it
  int64_t priority = 0;              // its level; 0, or one there is not: the default
  int64_t timeout_ns = 0;            // its own; 0: none
};

enum class Verdict { kQueued, kQueueFull, kOverloaded, kStopping };

struct Admission {
  Verdict verdict = Verdict::kQueued;
  Ticket ticket = 0;              // if queued
  int64_t predicted_wait_ns = 0;  // if overloaded: what was too long
};

// What an instance should do now.
struct Decision {
  bool take = false;                    // there is a batch for it
  std::optional<int64_t> wake_at_ns{};  // else: when to ask again even if nothing changes

  bool operator==(const Decision&) const = default;
};

// The requests of a batch, in the order of their rows.
struct TakenBatch {
  std::vector<Ticket> tickets;
  std::optional<size_t> gear;  // buckets: the one that was chosen, by its number in the signature
};

// Not synchronized: its owner's mutex guards it. Every event takes constant time in the length of the queue, or
// logarithmic where requests time out.
class SchedulerCore {
 public:
  // devices: one entry an instance, the device it runs on. buckets: of the model; without effect unless the options
  // ask. REQUIRES: valid options; devices and slots_per_instance not empty or 0.
  SchedulerCore(SchedulerOptions options, const BucketTable& buckets, const std::vector<int>& devices,
                size_t slots_per_instance);
  ~SchedulerCore();
  SchedulerCore(SchedulerCore&&) noexcept;

  Admission submit(Arrival arrival, int64_t now_ns);

  // Takes a request out of the queue. REQUIRES: it is queued.
  void cancel(Ticket ticket);

  // Takes out and returns those that have waited as long as they may; those that their policy delays stay, behind.
  std::vector<Ticket> expire(int64_t now_ns);

  // When expire() has something to do next; none if nothing times out.
  std::optional<int64_t> next_expiry_ns() const;

  // Whether the instance should take a batch now. Of several that could, the one with the least work left on its device
  // should. REQUIRES: a free slot, or the answer is no.
  Decision decide(size_t instance, int64_t now_ns) const;

  // The instance that decide() speaks to: the only one to ask, or to wake. None without a free slot or a request.
  std::optional<size_t> next_instance(int64_t now_ns) const;

  // Takes the batch that decide() found; none if there is none any more. It executes, and has a slot, from here on.
  TakenBatch take(size_t instance, int64_t now_ns);

  // The device is done with the instance's oldest batch; its slot is still in use. What it took is learned from.
  void ended(size_t instance, int64_t now_ns);

  // A slot of the instance may be filled again.
  void release_slot(size_t instance);

  // A held instance is given no batch, as if it had no free slot, and others are given what it could have had.
  void set_held(size_t instance, bool held);

  // A request was answered so long after its arrival: what target_p99_ns is held with.
  void answered(int64_t latency_ns, int64_t now_ns);

  // Nothing more is queued, and what is runs without further delay. Idempotent.
  void stop();

  bool stopping() const;
  size_t queued() const;
  bool has_free_slot(size_t instance) const;

  // How long a request that came now would wait, as the costs tell: the work queued and left on the instances.
  int64_t predicted_wait_ns(int64_t now_ns) const;

  // The queue delay in force.
  int64_t queue_delay_ns() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace npuserve::batching
