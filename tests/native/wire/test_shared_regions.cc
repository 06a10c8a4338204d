#include "wire/shared_regions.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/tensor_view.h"
#include "endpoint_session.h"
#include "mapped_memory.h"
#include "shared_object.h"
#include "wire/framing.h"
#include "wire/placed_outputs.h"

namespace npuserve::wire {
namespace {

using test::map_shared;
using test::shared_request;
using test::SharedObject;
using Events = std::vector<std::string>;

constexpr std::string_view kRow = "0123456789abcdef";  // any sixteen bytes are four floats
const auto kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A session whose endpoint has region "r" of an object of two pages, with the row at its start.
struct SharingSession {
  SharingSession() {
    object.write(0, kRow);
    REQUIRE(regions->add("r", object.file(), 0, map_shared(object.file(), 0, 2 * kPage)));
    session.endpoint.share_regions(regions);
  }

  SharedObject object{2 * kPage};
  std::shared_ptr<SharedRegions> regions = std::make_shared<SharedRegions>();
  EndpointSession session;
};

}  // namespace

TEST_CASE("a region gives the parts that lie within it and no other") {
  const SharedObject object(3 * kPage);
  const SharedRegion region(object.file(), kPage, map_shared(object.file(), kPage, kPage + 8));
  const uint64_t size = kPage + 8;
  CHECK(region.part(0, size).size() == size);
  CHECK(region.part(size - 1, 1).size() == 1);
  CHECK(region.part(3, 5).data() == region.part(0, 1).data() + 3);
  CHECK(region.part(0, 0).empty());
  CHECK(region.part(0, size + 1).empty());
  CHECK(region.part(1, size).empty());
  CHECK(region.part(size, 1).empty());
  CHECK(region.part(size, 0).empty());
  CHECK(region.part(UINT64_MAX, 1).empty());
  CHECK(region.part(1, UINT64_MAX).empty());
  CHECK(region.part(UINT64_MAX, UINT64_MAX).empty());
}

TEST_CASE("a region is the object's memory from its offset on") {
  SharedObject object(2 * kPage);
  const SharedRegion region(object.file(), kPage, map_shared(object.file(), kPage, kPage));
  object.write(kPage + 5, "abc");
  CHECK(text_of(region.part(5, 3)) == "abc");
  std::memcpy(region.part(6, 2).data(), "XY", 2);
  CHECK(object.read(kPage + 5, 3) == "aXY");
}

TEST_CASE("a region gives nothing while its object is smaller than it was") {
  const SharedObject object(3 * kPage);
  const SharedRegion region(object.file(), kPage, map_shared(object.file(), kPage, kPage + 1));
  object.resize(2 * kPage);
  CHECK(region.part(0, 1).empty());
  object.resize(2 * kPage + 1);
  CHECK(region.part(0, 1).size() == 1);
}

TEST_CASE("a region that is removed stays mapped for who holds it") {
  const SharedObject object(kPage);
  SharedRegions regions;
  REQUIRE(regions.add("r", object.file(), 0, map_shared(object.file(), 0, kPage)));
  std::shared_ptr<const SharedRegion> held = regions.find("r");
  const std::weak_ptr<const SharedRegion> watched = held;
  regions.remove("r");
  regions.remove("r");
  CHECK(regions.empty());
  CHECK(regions.find("r") == nullptr);
  std::memcpy(held->part(0, 4).data(), "good", 4);
  CHECK(object.read(0, 4) == "good");
  held.reset();
  CHECK(watched.expired());
}

TEST_CASE("what the system gives no descriptor of is no region") {
  const SharedObject object(kPage);
  SharedRegions regions;
  CHECK_FALSE(regions.add("r", -1, 0, map_shared(object.file(), 0, kPage)));
  CHECK(regions.empty());
}

TEST_CASE("outputs are placed without their padding, and the others stay as they are") {
  ModelInterface model;
  model.outputs = {{"a", core::Dtype::kUint8, {}, {}}, {"b", core::Dtype::kUint8, {}, {}}};
  const std::string padded = "abc.de. ";
  const core::Shape shape{2, 2};
  const core::Shape gear{2, 4};
  const core::Shape row{1, 3};
  const auto bytes = std::as_bytes(std::span(padded));
  const std::vector<core::OutputView> outputs{{bytes.data(), 1, shape, gear}, {bytes.data(), 1, row, row}};
  std::string place = "########";
  const std::span<std::byte> room = std::as_writable_bytes(std::span(place));

  const PlacedOutputs placed(model, std::vector<std::span<std::byte>>{room.subspan(1, 5), {}}, outputs);
  REQUIRE(placed.status().ok());
  CHECK(place == "#abde###");
  CHECK(placed.views()[0].size_bytes() == 0);
  CHECK(core::Shape(placed.views()[0].shape().begin(), placed.views()[0].shape().end()) == shape);
  CHECK(placed.views()[1].size_bytes() == 3);

  const std::vector<std::span<std::byte>> too_small{room.subspan(0, 4), room.subspan(6, 2)};
  const PlacedOutputs refused(model, too_small, outputs);
  CHECK(refused.status().code() == core::StatusCode::kInternal);
  CHECK(refused.status().message() ==
        "shared memory size specified with the request for output 'b' (2 bytes) should be at least 3 bytes to hold the "
        "results");
  CHECK(place == "#abde###");
}

TEST_CASE("a request with shared memory is answered through its sink and never becomes a handler's") {
  SharingSession sharing;
  EndpointSession& session = sharing.session;
  auto& client = session.connect(true);
  const int32_t call = session.call(client, kInfer, shared_request("seven", "r", 0, kPage));
  REQUIRE(session.sink->held.size() == 1);
  session.sink->complete();
  session.deliver();
  const Answer& answer = client.session.answer(call);
  CHECK(answer.field("grpc-status") == "0");
  const auto fields = response_fields(std::string_view(answer.body).substr(kPrefixBytes));
  CHECK(fields.at(3) == "seven");
  CHECK(fields.at(6).empty());
  CHECK(sharing.object.read(kPage, 16) == kRow);
  CHECK(session.handler_events().empty());
}

TEST_CASE("a region that is removed while a request runs is its request's until the answer") {
  SharingSession sharing;
  EndpointSession& session = sharing.session;
  auto& client = session.connect(true);
  const std::weak_ptr<const SharedRegion> region = sharing.regions->find("r");
  const int32_t call = session.call(client, kInfer, shared_request("", "r", 0, kPage));
  sharing.regions->remove("r");
  REQUIRE_FALSE(region.expired());
  session.sink->complete();
  session.deliver();
  CHECK(client.session.answer(call).field("grpc-status") == "0");
  CHECK(sharing.object.read(kPage, 16) == kRow);
  CHECK(region.expired());
}

TEST_CASE("references of connections that may not share memory are the handlers', as without any regions") {
  SharingSession sharing;
  EndpointSession& session = sharing.session;
  auto& stranger = session.connect();
  session.call(stranger, kInfer, shared_request("", "r", 0, kPage));
  CHECK(session.sink->held.empty());
  CHECK(session.handler_events() == Events{"started 1/1", "changed 1/1"});

  sharing.regions->remove("r");
  session.call(session.connect(true), kInfer, shared_request("", "r", 0, kPage));
  CHECK(session.handler_events() == Events{"started 2/1", "changed 2/1"});
  session.endpoint.share_regions(nullptr);
  session.call(session.connect(true), kInfer, shared_request("", "r", 0, kPage));
  CHECK(session.handler_events() == Events{"started 3/1", "changed 3/1"});
  CHECK(sharing.object.read(kPage, 16) == std::string(16, '\0'));
}

}  // namespace npuserve::wire
