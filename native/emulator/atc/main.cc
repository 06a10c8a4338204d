// atc: compiles ONNX models into OMs for the emulator, with the vendor's flags, texts and exit codes.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "emulator/atc/compile.h"
#include "emulator/atc/display.h"
#include "emulator/atc/failure.h"
#include "emulator/atc/flags.h"
#include "emulator/model/om_file.h"

namespace {

using emulator::OmBytes;
using emulator::OmError;
using emulator::atc::Failure;
using emulator::atc::Flags;

constexpr int kFailed = 255;

// yyyy-mm-dd-hh:mm:ss.mmm.uuu
std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm local{};
  localtime_r(&seconds, &local);
  char day[32];
  std::strftime(day, sizeof(day), "%Y-%m-%d-%H:%M:%S", &local);
  char text[64];
  std::snprintf(text, sizeof(text), "%s.%03d.%03d", day, static_cast<int>(us / 1000 % 1000),
                static_cast<int>(us % 1000));
  return text;
}

int report(const std::string& code, const std::string& text) {
  std::cout << "ATC run failed, Please check the detail log, Try 'atc --help' for more information\n"
            << code << ": [PID: " << getpid() << "] " << now_text() << " " << text << "\n";
  return kFailed;
}

void show(const Flags& flags) {
  const std::string path = flags.require("om");
  try {
    std::cout << emulator::atc::display_text(parse_om(OmBytes::read(path)).metadata);
  } catch (const OmError& error) {
    throw Failure("E13001", "Open file [" + path + "] of parameter [--om] failed: " + error.what());
  }
}

void run(const Flags& flags) {
  const std::string mode = flags.get("mode");
  if (mode == "6") return show(flags);
  if (mode == "1" || mode == "3" || mode == "5" || mode == "30") {
    throw Failure("E10055", "The emulator's atc supports [--mode] 0 and 6 only.");
  }
  if (mode != "0") emulator::atc::invalid_value("mode", mode, "It must be 0, 1, 3, 5, 6 or 30.");
  const emulator::atc::Options options = emulator::atc::parse_options(flags);
  const emulator::Metadata metadata = emulator::atc::compile(options);
  if (options.display_info) std::cout << emulator::atc::display_text(metadata);
}

}  // namespace

int main(int argc, char** argv) {
  std::cout << "ATC start working now, please wait for a moment.\n" << std::flush;
  try {
    const Flags flags = Flags::parse(std::vector<std::string>(argv + 1, argv + argc));
    if (flags.has("help") || argc == 1) {
      std::cout << emulator::atc::help_text();
      return 0;
    }
    run(flags);
  } catch (const Failure& failure) {
    return report(failure.code(), failure.what());
  } catch (const std::exception& error) {
    return report("E19999", std::string("Inner error: ") + error.what());
  }
  std::cout << "...\nATC run success, welcome to the next use.\n";
  return 0;
}
