// The checks of a ModelInferRequest, in the order in which check() makes them.
//
// Each returns whether to go on; if not, the plan's verdict says why.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "wire/infer_codec.h"
#include "wire/infer_request.h"
#include "wire/model_interface.h"

namespace npuserve::wire {

// Parameters of the request: kinds and reserved keys; fills plan.priority and plan.timeout_us.
bool check_request_parameters(const InferRequest& request, InferPlan& plan);

// No input and no requested output is named twice.
bool check_unique_names(const InferRequest& request, InferPlan& plan);

// Each input has its bytes: in shared memory (plan.shared_inputs), raw or typed. Typed contents are converted: then
// plan.converted has an entry for each input that is not shared, in order, else raw_input_contents has.
bool take_contents(const InferRequest& request, const SharedRegions* regions, InferPlan& plan);

// Requested outputs: their parameters, then their names; fills plan.wanted and plan.destinations.
bool check_outputs(const InferRequest& request, const ModelInterface& model, const SharedRegions* regions,
                   InferPlan& plan);

// Inputs: count, names, rows, dtypes, shapes and sizes; fills plan.inputs and plan.rows. REQUIRES: take_contents().
bool check_inputs(const InferRequest& request, const ModelInterface& model, InferPlan& plan);

// Where a tensor's parameters say that its bytes lie.
enum class Place { kMessage, kRegion, kHandlersToSay };

// kRegion: `shared` is the place, never empty, and the plan keeps it mapped.
Place find_place(const std::vector<InferParameter>& parameters, const SharedRegions* regions, InferPlan& plan,
                 std::span<std::byte>& shared);

// Both return false.
bool refuse(InferPlan& plan, std::string message);
bool hand_on(InferPlan& plan);

}  // namespace npuserve::wire
