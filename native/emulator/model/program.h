// An OM made executable: the graph compiled by OpenVINO for the CPU, once for each gear.
//
// A gear is compiled when it first executes: a program that only reads a description, or runs one gear of many, does
// not pay for the rest. Who wants no slow first execution runs every gear once, as it would warm up a device.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "emulator/model/om_file.h"

namespace emulator {

// The gears of one OM. Any thread; loads of equal files share it, and with it the weights.
class Program;

// Reads the graph, or returns what an earlier call made of an equal file, if it still lives.
// threads: inference threads of one execution, 0 for all. Throws OmError (damaged).
std::shared_ptr<const Program> load_program(const OmFile& file, int threads);

// What one loaded model executes with. One execution at a time.
class Execution {
 public:
  explicit Execution(std::shared_ptr<const Program> program);
  ~Execution();
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // Reads inputs and writes outputs where they are. Blocks until the outputs are written.
  // REQUIRES: one pointer for each port, valid for the gear's shapes.
  void run(size_t gear, std::span<const std::byte* const> inputs, std::span<std::byte* const> outputs);

 private:
  struct Requests;
  std::shared_ptr<const Program> program_;
  std::unique_ptr<Requests> requests_;
};

}  // namespace emulator
