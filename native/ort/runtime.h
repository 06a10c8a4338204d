// ONNX Runtime as loaded from the shared library of its wheel, and the environment that its sessions share.
//
// Threads: open() from any; a Runtime is constant afterwards. The library is never unmapped: its thread pools may
// outlive the last call into it.
#pragma once

#include <memory>
#include <string>

namespace npuserve::ort {

struct FunctionTable;
struct OrtEnv;
struct OrtMemoryInfo;
struct OrtRunOptions;

class Runtime : public std::enable_shared_from_this<Runtime> {
 public:
  // Throws LibraryError, Error.
  static std::shared_ptr<const Runtime> open(const std::string& file);

  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // As "1.20.0".
  [[nodiscard]] const std::string& version() const noexcept { return version_; }

  // What the room's other classes call.
  [[nodiscard]] const FunctionTable& functions() const noexcept { return *functions_; }
  [[nodiscard]] const OrtEnv* environment() const noexcept { return environment_; }
  [[nodiscard]] const OrtMemoryInfo* host_memory() const noexcept { return host_memory_; }
  // For runs whose failure is an answer: they log nothing.
  [[nodiscard]] const OrtRunOptions* silent_run() const noexcept { return silent_run_; }

 private:
  explicit Runtime(const std::string& file);
  void release() noexcept;

  std::unique_ptr<FunctionTable> functions_;
  std::string version_;
  OrtEnv* environment_ = nullptr;
  OrtMemoryInfo* host_memory_ = nullptr;
  OrtRunOptions* silent_run_ = nullptr;
};

}  // namespace npuserve::ort
