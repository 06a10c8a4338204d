// Regions come and go on the loop's thread while the engine's read and write them, for ThreadSanitizer.
#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "endpoint_session.h"
#include "engine/identity_executor.h"
#include "engine/model.h"
#include "mapped_memory.h"
#include "shared_object.h"
#include "wire/shared_regions.h"

namespace npuserve::wire {
namespace {

constexpr size_t kCalls = 5'000;
constexpr size_t kObjects = 4;
constexpr size_t kRowBytes = 16;

std::shared_ptr<engine::Model> copy_model() {
  const core::Signature signature = engine::identity_signature({{"x", "y", core::Dtype::kFp32, {4}}}, 8);
  std::vector<std::unique_ptr<engine::Executor>> executors;
  executors.push_back(std::make_unique<engine::IdentityExecutor>(signature, 2, 0));
  executors.push_back(std::make_unique<engine::IdentityExecutor>(signature, 2, 100'000));
  engine::ModelOptions options;
  options.scheduling.batching.max_batch_size = 8;
  options.scheduling.batching.dynamic_batching = true;
  options.variable_output_axes = {{}};
  return std::make_shared<engine::Model>(options, std::move(executors));
}

// A client's objects, each with a place for every call's input and output, and which of them are registered.
class Storm {
 public:
  Storm() {
    for (auto& object : objects_) object = std::make_unique<test::SharedObject>(2 * kCalls * kRowBytes);
    session.endpoint.set_routes({{"copy", "", std::make_shared<InferTarget>(InferTarget{copy_interface(), model})}});
    session.endpoint.share_regions(regions_);
    client_ = &session.connect(true);
  }

  void change_a_region() {
    const size_t object = random() % kObjects;
    if (registered_[object]) {
      regions_->remove(name(object));
    } else {
      const int file = objects_[object]->file();
      REQUIRE(regions_->add(name(object), file, 0, test::map_shared(file, 0, 2 * kCalls * kRowBytes)));
    }
    registered_[object] = !registered_[object];
  }

  void call(size_t index) {
    const size_t object = random() % kObjects;
    objects_[object]->write(index * kRowBytes, row(index));
    const std::string request = test::shared_request("", name(object), index * kRowBytes, (kCalls + index) * kRowBytes);
    const int32_t stream = session.call(*client_, kInfer, request);
    if (!registered_[object]) {
      ++expected_handed_on;
    } else if (random() % 16 == 0) {
      client_->session.reset(stream);
      session.exchange();
      ++given_up;
    } else {
      calls_.push_back({index, object, stream});
    }
  }

  void settle() {
    session.deliver();
    HandlerEvent event;
    while (session.endpoint.next_handler_event(event)) {
      if (event.kind != HandlerEvent::Kind::kStarted) continue;
      ++handed_on;
      session.endpoint.finish(event.token, {core::StatusCode::kNotFound, "no such region"}, {}, session.now_ns);
    }
    session.exchange();
  }

  // Calls whose answer is OK and whose output lies where they wanted it.
  size_t right() {
    size_t count = 0;
    for (const Called& called : calls_) {
      const std::string output = objects_[called.object]->read((kCalls + called.index) * kRowBytes, kRowBytes);
      count += client_->session.answer(called.stream).field("grpc-status") == "0" && output == row(called.index);
    }
    return count;
  }

  std::shared_ptr<engine::Model> model = copy_model();
  EndpointSession session;
  std::mt19937 random{1};
  size_t handed_on = 0;
  size_t expected_handed_on = 0;
  size_t given_up = 0;

 private:
  struct Called {
    size_t index = 0;
    size_t object = 0;
    int32_t stream = 0;
  };

  static std::string name(size_t object) { return std::to_string(object); }

  static std::string row(size_t index) {
    const std::string digits = std::to_string(index);
    return "row " + std::string(kRowBytes - 4 - digits.size(), ' ') + digits;
  }

  std::array<std::unique_ptr<test::SharedObject>, kObjects> objects_;
  std::array<bool, kObjects> registered_{};
  std::shared_ptr<SharedRegions> regions_ = std::make_shared<SharedRegions>();
  EndpointSession::Client* client_ = nullptr;
  std::vector<Called> calls_;
};

}  // namespace

TEST_CASE("regions that come and go take no memory from the requests that use them") {
  Storm storm;
  for (size_t i = 0; i < kCalls; ++i) {
    if (storm.random() % 3 == 0) storm.change_a_region();
    storm.call(i);
    if (storm.random() % 4 == 0) storm.settle();
  }
  storm.settle();
  while (storm.session.endpoint.open_calls() > 0) {
    pollfd entry{.fd = storm.session.endpoint.file_descriptor(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&entry, 1, 30'000) == 1);
    storm.settle();
  }
  storm.model->close();
  storm.session.deliver();

  CHECK(storm.handed_on == storm.expected_handed_on);
  CHECK(storm.handed_on > 0);
  CHECK(storm.right() + storm.handed_on + storm.given_up == kCalls);
  CHECK(storm.session.endpoint.budget().used_bytes() == 0);
}

}  // namespace npuserve::wire
