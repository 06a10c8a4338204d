#include "wire/infer_routes.h"

namespace npuserve::wire {
namespace {

// No route holds a NUL in its name or version, so a request that does matches none.
void write_key(std::string& key, std::string_view name, std::string_view version) {
  key.assign(name);
  key.push_back('\0');
  key.append(version);
}

}  // namespace

void InferRoutes::replace(const std::vector<Route>& routes) {
  targets_.clear();
  for (const Route& route : routes) {
    write_key(key_, route.name, route.asked_version);
    targets_.insert_or_assign(key_, route.target);
  }
}

std::shared_ptr<const InferTarget> InferRoutes::find(std::string_view name, std::string_view version) {
  write_key(key_, name, version);
  const auto found = targets_.find(key_);
  return found == targets_.end() ? nullptr : found->second;
}

}  // namespace npuserve::wire
