#include "wire/infer_codec.h"

#include "wire/infer_check.h"

namespace npuserve::wire {

std::string id_prefix(std::string_view id) {
  return "[request id: " + std::string(id.empty() ? "<id_unknown>" : id) + "] ";
}

InferPlan check(const InferRequest& request, const ModelInterface& model, const SharedRegions* regions) {
  InferPlan plan;
  if (request.has_more) {
    hand_on(plan);
    return plan;
  }
  static_cast<void>(check_request_parameters(request, plan) && check_unique_names(request, plan) &&
                    take_contents(request, regions, plan) && check_outputs(request, model, regions, plan) &&
                    check_inputs(request, model, plan));
  return plan;
}

}  // namespace npuserve::wire
