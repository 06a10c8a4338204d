// What each file of the bindings adds to the module.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "acl/runtime.h"

namespace npuserve::engine::bindings {

// Python's Runtime.
struct RuntimeHandle {
  std::shared_ptr<acl::Runtime> runtime;
};

pybind11::tuple to_tuple(const std::vector<int64_t>& shape);

void register_completions(pybind11::module_& module);
void register_model(pybind11::module_& module);
void register_policy(pybind11::module_& module);

}  // namespace npuserve::engine::bindings
