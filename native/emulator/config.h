// The configuration file that aclInit takes: JSON, nested at most ten deep. What means nothing here (dump, profiler,
// queue numbers) is accepted and has no effect.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace emulator {

struct Config {
  std::optional<std::int32_t> default_device;  // "defaultDevice": {"default_device": "0"}
  bool text_for_process = false;               // "err_msg_mode": "1"
  std::map<std::string, std::string> values;   // every scalar by its path, "defaultDevice.default_device"
};

// Checks the text and finds the values. Throws a Refusal: 100006 for what is not JSON, 100000 for bad values.
Config parse_config(std::string_view text);

// The configuration of the last aclInit.
const Config& config();

}  // namespace emulator
