// What a shadow is told of calls: which, when, with which bytes.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/mirror_ring.h"
#include "endpoint_session.h"
#include "protobuf_fields.h"
#include "wire/framing.h"
#include "wire/mirror.h"

namespace npuserve::wire {
namespace {

using core::MirrorCount;

constexpr std::string_view kRow = "0123456789abcdef";
constexpr std::string_view kStream = "/inference.GRPCInferenceService/ModelStreamInfer";

struct Told {
  std::string request;
  std::string answer;
  int64_t live_ns = 0;
  int status = 0;
  bool compressed = false;
};

// A session whose endpoint tells a ring of its calls.
class MirroredSession {
 public:
  explicit MirroredSession(double share = 1, size_t most_bytes = SIZE_MAX, int compression_level = 0)
      : session({}, compression_level), file_(::memfd_create("ring", MFD_CLOEXEC)) {
    REQUIRE(::ftruncate(file_, 1 << 20) == 0);
    session.endpoint.mirror({.ring_file = file_, .share = share, .most_bytes = most_bytes});
    session.endpoint.mirrored()->set_models({{"copy", MirrorKind::kMirrored},
                                             {"handled", MirrorKind::kMirrored},
                                             {"stateful", MirrorKind::kSequence},
                                             {"many", MirrorKind::kDecoupled}});
    reader_.emplace(file_);
    client = &session.connect();
  }
  ~MirroredSession() { ::close(file_); }
  MirroredSession(const MirroredSession&) = delete;
  MirroredSession& operator=(const MirroredSession&) = delete;

  std::vector<Told> told() {
    std::vector<Told> all;
    while (const auto record = reader_->front()) {
      const auto text = [](std::span<const std::byte> bytes) {
        return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      };
      all.push_back({text(record->request), text(record->answer), record->live_ns, record->status, record->compressed});
      reader_->pop();
    }
    return all;
  }

  uint64_t count(MirrorCount which) const { return reader_->count(which); }

  EndpointSession session;
  EndpointSession::Client* client = nullptr;

 private:
  int file_;
  std::optional<core::MirrorReader> reader_;
};

}  // namespace

TEST_CASE("a call of a route is told of with its request, its answer and the time between") {
  MirroredSession mirrored;
  EndpointSession& session = mirrored.session;
  const std::string request = infer_request("copy", "seven", kRow);
  const int32_t call = session.call(*mirrored.client, kInfer, request);
  CHECK(mirrored.told().empty());
  session.sink->complete();
  session.now_ns += 40;
  session.deliver();
  const std::vector<Told> told = mirrored.told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].request == request);
  CHECK(told[0].answer == mirrored.client->session.answer(call).body.substr(kPrefixBytes));
  CHECK(told[0].live_ns == 40);
  CHECK(told[0].status == 0);
  CHECK_FALSE(told[0].compressed);
  CHECK(mirrored.count(MirrorCount::kSeen) == 1);
  CHECK(mirrored.count(MirrorCount::kWriteNs) > 0);
  CHECK(session.endpoint.budget().used_bytes() == 0);
}

TEST_CASE("an answer that leaves compressed is told of as it leaves") {
  MirroredSession mirrored(1, SIZE_MAX, 6);
  EndpointSession& session = mirrored.session;
  const int32_t call =
      session.call(*mirrored.client, kInfer, infer_request("copy", "", kRow), {{"grpc-accept-encoding", "gzip"}});
  session.sink->complete();
  session.deliver();
  const std::vector<Told> told = mirrored.told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].compressed);
  CHECK(told[0].answer == mirrored.client->session.answer(call).body.substr(kPrefixBytes));
}

TEST_CASE("a handler's call is told of when it is answered") {
  MirroredSession mirrored;
  EndpointSession& session = mirrored.session;
  const std::string request = infer_request("handled", "", kRow);
  const Token token = make_token(mirrored.client->id, session.call(*mirrored.client, kInfer, request));
  session.endpoint.pop_message(token);
  session.now_ns += 30;
  CHECK(mirrored.told().empty());
  session.endpoint.send(token, std::as_bytes(std::span(std::string_view("made by hand"))), session.now_ns);
  session.endpoint.finish(token, {}, {}, session.now_ns);
  session.exchange();
  const std::vector<Told> told = mirrored.told();
  REQUIRE(told.size() == 1);
  CHECK(told[0].request == request);
  CHECK(told[0].answer == "made by hand");
  CHECK(told[0].live_ns == 30);
  CHECK(session.endpoint.budget().used_bytes() == 0);
}

TEST_CASE("refusals and failures of the model are told of with their text, those of load and clients are counted") {
  MirroredSession mirrored;
  EndpointSession& session = mirrored.session;
  session.call(*mirrored.client, kInfer, infer_request("copy", "", "short"));
  session.call(*mirrored.client, kInfer, infer_request("copy", "", kRow));
  session.sink->complete({core::StatusCode::kInternal, "the device is broken"});
  session.deliver();
  const Token token =
      make_token(mirrored.client->id, session.call(*mirrored.client, kInfer, infer_request("handled", "", kRow)));
  session.endpoint.pop_message(token);
  session.endpoint.finish(token, {core::StatusCode::kNotFound, "no such version"}, {}, session.now_ns);
  session.call(*mirrored.client, kInfer, infer_request("copy", "", kRow));
  session.sink->complete({core::StatusCode::kUnavailable, "Exceeds maximum queue size"});
  session.deliver();

  const std::vector<Told> told = mirrored.told();
  REQUIRE(told.size() == 3);
  CHECK(told[0].status == 3);
  CHECK_FALSE(told[0].answer.empty());
  CHECK(told[1].status == 13);
  CHECK(told[1].answer == "the device is broken");
  CHECK(told[2].status == 5);
  CHECK(told[2].answer == "no such version");
  CHECK(mirrored.count(MirrorCount::kUnanswered) == 1);
}

TEST_CASE("a call that its client gives up is not told of") {
  MirroredSession mirrored;
  EndpointSession& session = mirrored.session;
  for (const std::string_view model : {"copy", "handled"}) {
    const int32_t call = session.call(*mirrored.client, kInfer, infer_request(model, "", kRow));
    if (model == "handled") session.endpoint.pop_message(make_token(mirrored.client->id, call));
    mirrored.client->session.reset(call);
    session.exchange();
  }
  session.deliver();
  CHECK(mirrored.told().empty());
  CHECK(session.endpoint.budget().used_bytes() == 0);
}

TEST_CASE("what a replay cannot repeat is counted by its reason") {
  MirroredSession mirrored;
  EndpointSession& session = mirrored.session;
  const auto parameter = [](const std::string& key, const std::string& value) {
    return test::field(1, key) + test::field(2, value);
  };
  session.call(*mirrored.client, kInfer, infer_request("stateful", "", kRow));
  session.call(*mirrored.client, kInfer,
               infer_request("copy", "", kRow) + test::field(4, parameter("sequence_id", test::field(2, 42))));
  session.call(*mirrored.client, kInfer, infer_request("many", "", kRow));
  session.call(*mirrored.client, kInfer, infer_request("unheard of", "", kRow));
  const std::string region = parameter("shared_memory_region", test::field(3, std::string("mine")));
  session.call(*mirrored.client, kInfer,
               test::field(1, std::string("copy")) +
                   test::field(5, test::field(1, std::string("x")) + test::field(2, std::string("FP32")) +
                                      test::field(4, region)));
  session.call(*mirrored.client, kStream, infer_request("copy", "", kRow));
  CHECK(mirrored.count(MirrorCount::kSeen) == 5);
  CHECK(mirrored.count(MirrorCount::kSequence) == 2);
  CHECK(mirrored.count(MirrorCount::kDecoupled) == 1);
  CHECK(mirrored.count(MirrorCount::kSharedMemory) == 1);
  CHECK(mirrored.count(MirrorCount::kStream) == 1);
  while (!session.sink->held.empty()) session.sink->complete();
  session.deliver();
  CHECK(mirrored.told().empty());
}

TEST_CASE("the share is kept over many calls, and none is told of at 0") {
  const auto told_of = [](double share) {
    MirroredSession mirrored(share);
    for (int i = 0; i < 2000; ++i) {
      mirrored.session.call(*mirrored.client, kInfer, infer_request("copy", "", kRow));
      mirrored.session.sink->complete();
      mirrored.session.deliver();
    }
    CHECK(mirrored.count(MirrorCount::kSeen) == 2000);
    return mirrored.told().size();
  };
  CHECK(told_of(0) == 0);
  const size_t tenth = told_of(0.1);
  CHECK(tenth > 140);
  CHECK(tenth < 260);
  CHECK(told_of(1) == 2000);
}

TEST_CASE("messages above the limit are counted, not copied") {
  MirroredSession mirrored(1, 50);
  mirrored.session.call(*mirrored.client, kInfer, infer_request("copy", "", kRow));
  mirrored.session.sink->complete();
  mirrored.session.deliver();
  CHECK(mirrored.told().empty());
  CHECK(mirrored.count(MirrorCount::kTooLarge) == 1);
}

}  // namespace npuserve::wire
