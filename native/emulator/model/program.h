// An OM made executable: the graph compiled by OpenVINO for the CPU, once for each gear.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "emulator/model/om_file.h"

namespace emulator {

// The compiled gears of one OM. Immutable; loads of equal files share it, and with it the weights.
class Program;

// Compiles every gear, or returns what an earlier call made of an equal file, if it still lives.
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
