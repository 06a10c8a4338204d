// The simulator as a program: one run, printed as one JSON object.
//   simulate_scheduling replay NAME=VALUE...   replays traffic through a scheduler
//   simulate_scheduling core NAME=VALUE...     measures the scheduler's own time
// Names and defaults are in Settings.
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "core_speed.h"
#include "oracle.h"
#include "ours.h"
#include "replay.h"
#include "triton.h"

namespace {

using namespace npuserve;              // a program, not a header
using namespace npuserve::simulation;  // as above

struct Settings {
  std::string gears{};                // ROWSxLENGTH:NANOSECONDS,...
  std::string scheduler = "buckets";  // equal, one_length, triton_padded, triton_true, oracle
  std::string arrivals = "poisson";   // bursts, diurnal, recorded
  std::string lengths{};              // a file; none: log-normal
  double load = 0.5;                  // of what the devices could do if every gear were full
  size_t requests = 100'000;
  size_t devices = 1;
  uint64_t seed = 1;
  int64_t delay_us = 0;
  int64_t max_overtaken = 0;
  int64_t max_queue_size = 0;
  int64_t max_wait_us = 0;    // admission
  int64_t target_p99_us = 0;  // of the adaptive delay
  size_t queued = 1;          // core
};

void set(Settings& settings, const std::string& name, const std::string& value) {
  if (name == "gears") return void(settings.gears = value);
  if (name == "scheduler") return void(settings.scheduler = value);
  if (name == "arrivals") return void(settings.arrivals = value);
  if (name == "lengths") return void(settings.lengths = value);
  if (name == "load") return void(settings.load = std::stod(value));
  if (name == "requests") return void(settings.requests = std::stoull(value));
  if (name == "devices") return void(settings.devices = std::stoull(value));
  if (name == "seed") return void(settings.seed = std::stoull(value));
  if (name == "delay_us") return void(settings.delay_us = std::stoll(value));
  if (name == "max_overtaken") return void(settings.max_overtaken = std::stoll(value));
  if (name == "max_queue_size") return void(settings.max_queue_size = std::stoll(value));
  if (name == "max_wait_us") return void(settings.max_wait_us = std::stoll(value));
  if (name == "target_p99_us") return void(settings.target_p99_us = std::stoll(value));
  if (name == "queued") return void(settings.queued = std::stoull(value));
  throw std::invalid_argument("there is no setting '" + name + "'");
}

Settings parse(int count, char** words) {
  Settings settings;
  for (int at = 2; at < count; ++at) {
    const std::string word = words[at];
    const size_t equals = word.find('=');
    if (equals == std::string::npos) throw std::invalid_argument("'" + word + "' is not NAME=VALUE");
    set(settings, word.substr(0, equals), word.substr(equals + 1));
  }
  if (settings.devices == 0 || settings.load <= 0 || settings.queued == 0) {
    throw std::invalid_argument("devices, load and queued must be above 0");
  }
  return settings;
}

batching::SchedulerOptions scheduler_options(const Settings& settings, const GearSet& gears) {
  batching::SchedulerOptions options;
  options.batching.max_batch_size = gears.max_rows();
  options.batching.dynamic_batching = true;
  options.batching.max_queue_delay_ns = settings.delay_us * 1000;
  options.batching.max_queue_size = settings.max_queue_size;
  options.buckets = settings.scheduler == "buckets";
  options.max_overtaken = settings.max_overtaken;
  options.max_predicted_wait_ns = settings.max_wait_us * 1000;
  options.target_p99_ns = settings.target_p99_us * 1000;
  return options;
}

std::unique_ptr<Contestant> contestant(const Settings& settings, const GearSet& gears, Devices& devices) {
  const std::string& name = settings.scheduler;
  if (name == "buckets" || name == "equal" || name == "one_length") {
    return std::make_unique<Ours>(scheduler_options(settings, gears), gears, name == "one_length", devices);
  }
  if (name == "triton_padded" || name == "triton_true") {
    const TritonOptions options{.max_batch_size = gears.max_rows(), .max_queue_delay_ns = settings.delay_us * 1000};
    return std::make_unique<Triton>(options, gears, name == "triton_padded", devices);
  }
  throw std::invalid_argument("scheduler '" + name +
                              "' is none of buckets, equal, one_length, triton_padded, triton_true, oracle");
}

Sample read_lengths(const Settings& settings, const GearSet& gears) {
  if (settings.lengths.empty()) return log_normal_sample(gears.max_length());
  return read_sample(settings.lengths, gears.max_length());
}

// Requests a second that the devices could answer if each had its share of a full gear.
double capacity(const GearSet& gears, const Sample& sample, size_t devices) {
  double row_ns = 0;
  for (const int32_t length : sample.lengths) row_ns += gears.cheapest_row_ns(length);
  return static_cast<double>(devices) * static_cast<double>(sample.lengths.size()) / row_ns * 1e9;
}

void print_replay(const Settings& settings) {
  const GearSet gears = parse_gears(settings.gears);
  const Sample sample = read_lengths(settings, gears);
  const ArrivalKind kind = parse_arrival_kind(settings.arrivals);
  if (kind == ArrivalKind::kRecorded && sample.gaps_ns.empty()) {
    throw std::invalid_argument("recorded arrivals need a file of lengths with times");
  }
  const double capable = capacity(gears, sample, settings.devices);
  const Traffic traffic({.kind = kind,
                         .mean_gap_ns = 1e9 / capable / settings.load,
                         .requests = settings.requests,
                         .seed = settings.seed},
                        sample);
  const auto started = std::chrono::steady_clock::now();
  Outcome outcome;
  if (settings.scheduler == "oracle") {
    outcome = bound(traffic, gears, settings.devices);
  } else {
    Devices devices(settings.devices);
    const std::unique_ptr<Contestant> scheduler = contestant(settings, gears, devices);
    outcome = replay(traffic, settings.requests, *scheduler, devices);
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
  std::printf(R"({"capacity": %.3f, "seconds": %.3f, "outcome": %s})"
              "\n",
              capable, spent.count(), to_json(outcome).c_str());
}

void print_core_speed(const Settings& settings) {
  const GearSet gears = parse_gears(settings.gears);
  const Sample sample = read_lengths(settings, gears);
  const CoreSpeed speed =
      measure_core(scheduler_options(settings, gears), gears, sample, settings.queued, settings.requests);
  std::printf(R"({"request_ns": %.3f, "mean_rows": %.3f})"
              "\n",
              speed.request_ns, speed.mean_rows);
}

}  // namespace

int main(int count, char** words) {
  try {
    const std::string mode = count > 1 ? words[1] : "";
    if (mode != "replay" && mode != "core") throw std::invalid_argument("say `replay` or `core`, then NAME=VALUE...");
    const Settings settings = parse(count, words);
    mode == "replay" ? print_replay(settings) : print_core_speed(settings);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "simulate_scheduling: %s\n", error.what());
    return 1;
  }
}
