#include "emulator/settings.h"

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "emulator/errors.h"

namespace emulator {
namespace {

// Every Settings ever loaded, so that a reference stays valid; one more at each aclInit. Leaked on purpose: settings
// may be asked for while the program exits.
struct History {
  std::mutex mutex;
  std::vector<std::unique_ptr<const Settings>> all;  // guarded by mutex
  std::atomic<const Settings*> current;
};

History& history() {
  static History& kept = *[] {
    auto* const made = new History();
    made->all.push_back(std::make_unique<const Settings>());
    made->current.store(made->all.back().get());
    return made;
  }();
  return kept;
}

template <class T>
void read_number(const char* variable, T least, T most, T& number) {
  const char* const text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return;
  const std::string_view digits = text;
  T parsed{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
  if (error != std::errc() || end != digits.data() + digits.size() || parsed < least || parsed > most) {
    refuse(ACL_ERROR_INVALID_PARAM, std::string(variable) + " is '" + text + "', not a number from " +
                                        std::to_string(least) + " to " + std::to_string(most));
  }
  number = parsed;
}

void read_text(const char* variable, std::string& value) {
  const char* const text = std::getenv(variable);
  if (text != nullptr && *text != '\0') value = text;
}

}  // namespace

const Settings& settings() { return *history().current.load(); }

void load_settings() {
  // Two mappings of twice the memory a device must fit into 47 bits of addresses.
  constexpr int kMostDevices = 64;
  constexpr std::size_t kMostBytes = std::size_t{256} << 30;
  auto loaded = std::make_unique<Settings>();
  read_number("NPUSERVE_EMULATOR_DEVICES", 1, kMostDevices, loaded->device_count);
  read_number("NPUSERVE_EMULATOR_MEMORY_BYTES", std::size_t{1}, kMostBytes, loaded->memory_bytes);
  read_number("NPUSERVE_EMULATOR_THREADS", 0, std::numeric_limits<int>::max(), loaded->inference_threads);
  read_text("NPUSERVE_EMULATOR_FAULTS", loaded->faults);
  read_text("NPUSERVE_EMULATOR_SOC", loaded->soc_name);
  History& kept = history();
  const std::lock_guard lock(kept.mutex);
  kept.all.push_back(std::move(loaded));
  kept.current.store(kept.all.back().get());
}

}  // namespace emulator
