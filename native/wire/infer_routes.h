// Which model version a ModelInfer means, by the texts of its request.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wire/infer_call.h"

namespace npuserve::wire {

// A model's name, and a version text under which requests mean this version ("": those that name none).
struct Route {
  std::string name;
  std::string asked_version;
  std::shared_ptr<const InferTarget> target;
};

// One thread.
class InferRoutes {
 public:
  void replace(const std::vector<Route>& routes);

  // Null if there is none.
  std::shared_ptr<const InferTarget> find(std::string_view name, std::string_view version);

 private:
  std::unordered_map<std::string, std::shared_ptr<const InferTarget>> targets_;
  std::string key_;  // reused, to allocate nothing a call
};

}  // namespace npuserve::wire
