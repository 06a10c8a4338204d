// Host callbacks: who takes the reports of a stream.
#pragma once

namespace emulator {

// Ends every subscription; callbacks not yet run are dropped. At aclFinalize.
void forget_subscriptions();

}  // namespace emulator
