// Every call that one whole inference makes fails in turn: the failure is told by its call and code, or counted if it
// was a release, and nothing stays behind.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "acl/context.h"
#include "acl/copy.h"
#include "acl/dataset.h"
#include "acl/errors.h"
#include "acl/event.h"
#include "acl/functions.h"
#include "acl/memory.h"
#include "acl/model.h"
#include "device.h"

using namespace npuserve::acl;  // the scenario names nearly all of it

namespace {

constexpr int kInjected = 507899;

doctest::skip needs_models() {
  return doctest::skip(device_test::library_file() == nullptr || std::getenv("NPUSERVE_TEST_MODELS") == nullptr);
}

void infer_once(const std::shared_ptr<Runtime>& runtime) {
  const Context context(runtime, 0);
  const Stream stream(*runtime);
  const Event done(*runtime);
  const PinnedMemory host(*runtime, 16 * sizeof(float));
  const DeviceMemory input(*runtime, host.size_bytes());
  const DeviceMemory output(*runtime, host.size_bytes());
  const DeviceMemory gear(*runtime, sizeof(std::int32_t));
  const std::filesystem::path folder = std::getenv("NPUSERVE_TEST_MODELS");
  const Model model = Model::load_from_file(*runtime, folder / "identity_b8.om");
  Dataset inputs(*runtime);
  inputs.add(DataBuffer(*runtime, input.data(), input.size_bytes()));
  inputs.add(DataBuffer(*runtime, gear.data(), gear.size_bytes()));
  Dataset outputs(*runtime);
  outputs.add(DataBuffer(*runtime, output.data(), output.size_bytes()));
  model.set_dynamic_batch_size(inputs, 4);
  try {
    copy_async(input.data(), input.size_bytes(), host.data(), host.size_bytes(), CopyKind::kHostToDevice, stream);
    model.execute_async(inputs, outputs, stream);
    copy_async(host.data(), host.size_bytes(), output.data(), host.size_bytes(), CopyKind::kDeviceToHost, stream);
    done.record(stream);
    done.synchronize();
  } catch (const Error&) {
    // What is queued still uses the memory and the model.
    stream.synchronize();
    throw;
  }
  stream.synchronize();
}

// What became of one inference under a fault.
struct Outcome {
  std::optional<Error> error;
  std::uint64_t failed_releases = 0;
  std::string last_failed_release;
};

Outcome infer_under(const std::string& rule) {
  const device_test::Fault fault(rule.c_str());
  const std::shared_ptr<Runtime> runtime = device_test::open_runtime();
  Outcome outcome;
  try {
    infer_once(runtime);
  } catch (const Error& error) {
    outcome.error = error;
  }
  outcome.failed_releases = runtime->failed_releases();
  outcome.last_failed_release = runtime->last_failed_release();
  return outcome;
}

// Fails the first call of the function, then the second, until the inference makes no further one. Returns how many.
int sweep(const std::string& function) {
  for (int nth = 1;; ++nth) {
    const Outcome outcome = infer_under(function + ":" + std::to_string(nth) + ":" + std::to_string(kInjected));
    CAPTURE(function);
    CAPTURE(nth);
    if (!outcome.error && outcome.failed_releases == 0) return nth - 1;
    REQUIRE(nth < 20);
    if (outcome.error) {
      CHECK(outcome.error->call() == function);
      CHECK(outcome.error->code() == kInjected);
      CHECK(outcome.failed_releases == 0);
    } else {
      CHECK(outcome.failed_releases == 1);
      CHECK(outcome.last_failed_release.starts_with(function + " failed: 507899"));
    }
  }
}

}  // namespace

TEST_CASE("whichever call of an inference fails, it is told, and the next inference succeeds" * needs_models()) {
  int failed = 0;
#define ACL_REQUIRED(ret, name, params) \
  if (std::is_same_v<ret, aclError> && std::string(#name) != "aclInit") failed += sweep(#name);
#define ACL_OPTIONAL(ret, name, params)
#define ACL_EMULATED(ret, name, params)
#include "acl/functions.def"
#undef ACL_REQUIRED
#undef ACL_OPTIONAL
#undef ACL_EMULATED
  // Fewer would mean that faults no longer reach the calls: the inference makes this many that return a status.
  CHECK(failed >= 35);
  CHECK_FALSE(infer_under("").error);
}
