// Replays traffic through a scheduler in virtual time.
#pragma once

#include "contestant.h"
#include "outcome.h"

namespace npuserve::simulation {

// devices: those that the contestant launches its batches on. Throws std::logic_error if a request is answered twice.
Outcome replay(const Traffic& traffic, size_t requests, Contestant& contestant, Devices& devices);

}  // namespace npuserve::simulation
