// An OM's description, as the engine's signature.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "acl/model_description.h"
#include "core/signature.h"

namespace npuserve::engine {

// Full input shapes of every gear, without the gear input. A static model has one.
std::vector<std::vector<core::Shape>> gear_input_shapes(const acl::ModelDescription& description);

// output_shapes: for each gear, the full shapes of all outputs. Output names are cut to what follows the last ':' of
// the compiler's "node:index:tensor".
core::Signature signature_of(const acl::ModelDescription& description,
                             const std::vector<std::vector<core::Shape>>& output_shapes);

}  // namespace npuserve::engine
