// A model that ONNX Runtime has loaded on the CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/shape.h"
#include "ort/abi.h"
#include "ort/owned.h"

namespace npuserve::ort {

// As the C API counts them.
struct SessionOptions {
  int graph_optimization_level = 99;
  int execution_mode = 0;
  int intra_op_threads = 0;  // 0: as many as cores
  int inter_op_threads = 0;
  bool memory_arena = true;
  bool memory_pattern = true;
  std::vector<std::pair<std::string, std::string>>
      entries{};  // by their own names, as "session.intra_op.allow_spinning"
};

// Any thread; runs may be side by side.
class Session {
 public:
  // inputs, outputs: those that are given and asked for in every run, in this order. Throws Error, also for names that
  // are none when it runs.
  Session(const std::shared_ptr<const Runtime>& runtime, const std::string& path, const SessionOptions& options,
          std::vector<std::string> inputs, std::vector<std::string> outputs);

  // Runs the model into the outputs' memory. Throws Error, also if an output has another shape than the model gives it.
  // REQUIRES: a value for each input and each output.
  void run(std::span<const OrtValue* const> inputs, std::span<OrtValue*> outputs) const;

  // Runs the model and returns the shapes of its outputs, whose memory is ONNX Runtime's. Logs nothing. Throws Error.
  [[nodiscard]] std::vector<core::Shape> output_shapes(std::span<const OrtValue* const> inputs) const;

  [[nodiscard]] const std::shared_ptr<const Runtime>& runtime() const noexcept { return runtime_; }

 private:
  void run(const OrtRunOptions* options, std::span<const OrtValue* const> inputs, std::span<OrtValue*> outputs) const;
  [[nodiscard]] core::Shape shape_of(const OrtValue* value) const;

  std::shared_ptr<const Runtime> runtime_;
  Owned<OrtSession> session_;
  std::vector<std::string> inputs_;
  std::vector<std::string> outputs_;
  std::vector<const char*> input_names_;  // of the strings above
  std::vector<const char*> output_names_;
};

}  // namespace npuserve::ort
