// Reading of lists and numbers from flag values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace emulator::atc {

// The parts between separators, blanks trimmed. An empty text has one empty part.
std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);
// Decimal, the whole text; nullopt otherwise.
std::optional<int64_t> integer(std::string_view text);
// Throws Failure E13001, naming the flag, when the file cannot be read.
std::string read_text(const std::string& flag, const std::filesystem::path& path);

}  // namespace emulator::atc
