// What each file of the bindings adds to the module.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "acl/host_registrar.h"
#include "acl/runtime.h"
#include "core/mutex.h"
#include "core/signature.h"
#include "engine/executor.h"
#include "ort/runtime.h"
#include "ort/session.h"

namespace npuserve::engine::bindings {

// The registrars of a runtime, by device.
class HostRegistrars {
 public:
  explicit HostRegistrars(std::shared_ptr<acl::Runtime> runtime) : runtime_(std::move(runtime)) {}

  // The device's, made when it is first asked for. Any thread.
  std::shared_ptr<acl::HostRegistrar> of_device(int device) EXCLUDES_LOCK(mutex_);

  std::vector<std::shared_ptr<acl::HostRegistrar>> all() const EXCLUDES_LOCK(mutex_);

 private:
  const std::shared_ptr<acl::Runtime> runtime_;
  mutable core::Mutex mutex_;
  std::map<int, std::shared_ptr<acl::HostRegistrar>> by_device_ GUARDED_BY(mutex_);
};

// Python's Runtime.
struct RuntimeHandle {
  std::shared_ptr<acl::Runtime> runtime;
  std::shared_ptr<HostRegistrars> registrars;
};

// Python's OnnxRuntime.
struct OrtHandle {
  std::shared_ptr<const ort::Runtime> runtime;
};

// The instances of an ONNX model, warmed up, which know what the signature's gears cost. share_session: one session for
// all. Throws ort::Error, std::invalid_argument.
std::vector<std::unique_ptr<Executor>> make_ort_executors(const OrtHandle& runtime, const std::string& path,
                                                          const ort::SessionOptions& options, bool share_session,
                                                          const core::Signature& signature, size_t instances);

pybind11::tuple to_tuple(const std::vector<int64_t>& shape);

void register_completions(pybind11::module_& module);
void register_model(pybind11::module_& module);
void register_ort(pybind11::module_& module);
void register_scheduler_core(pybind11::module_& module);

}  // namespace npuserve::engine::bindings
