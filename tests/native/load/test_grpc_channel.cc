#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "answers.h"
#include "load/grpc_channel.h"
#include "server_frames.h"

namespace npuserve::load {
namespace {

const Fields kHead{
    {":method", "POST"}, {":scheme", "http"}, {":path", "/s/m"}, {":authority", "a"}, {"te", "trailers"}};

// A channel whose peer has greeted.
struct Session {
  explicit Session(size_t calls = 100) : channel(answers, kHead) {
    preface = sent_by(channel);
    REQUIRE(channel.receive(greeting(calls)));
    sent_by(channel);
  }

  // Sends it, and returns the bodies that went out, by stream.
  std::vector<Frame> begin(uint32_t ticket, std::string_view request) {
    channel.begin(ticket, request);
    auto frames = frames_of(sent_by(channel));
    std::erase_if(frames, [](const Frame& each) { return each.type != kDataFrame; });
    return frames;
  }

  Answers answers;
  GrpcChannel channel;
  std::string preface;
};

TEST_CASE("nothing is sent before the server's settings are known") {
  Answers answers;
  GrpcChannel channel(answers, kHead);
  CHECK_FALSE(channel.is_ready());
  CHECK_FALSE(channel.has_room());
  CHECK(sent_by(channel).starts_with("PRI * HTTP/2.0\r\n"));
  CHECK(channel.receive(greeting(100)));
  CHECK(channel.is_ready());
  CHECK(channel.has_room());
}

TEST_CASE("a request is one call, and its answer the message without the prefix") {
  Session session;
  const std::string request = prefixed("question");
  const auto frames = session.begin(9, request);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].stream_id == 1);
  CHECK(frames[0].payload == request);
  CHECK((frames[0].flags & kEndStream) != 0);
  CHECK(session.channel.receive(answer(1, "reply")));
  CHECK(session.answers.all == std::vector<Answered>{{9, 0, "", "reply"}});
}

TEST_CASE("an answer may come in any two parts") {
  const std::string bytes = answer(1, "reply");
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    Session session;
    session.begin(2, "x");
    CHECK(session.channel.receive(bytes.substr(0, cut)));
    CHECK(session.channel.receive(bytes.substr(cut)));
    REQUIRE(session.answers.all == std::vector<Answered>{{2, 0, "", "reply"}});
  }
}

TEST_CASE("no more calls are open than the server lets in") {
  Session session(2);
  session.begin(0, "a");
  CHECK(session.channel.has_room());
  session.begin(1, "b");
  CHECK_FALSE(session.channel.has_room());
  CHECK(session.channel.receive(answer(3, "late one first")));
  CHECK(session.channel.has_room());
  CHECK(session.answers.all == std::vector<Answered>{{1, 0, "", "late one first"}});
  session.begin(2, "c");
  CHECK(session.channel.receive(answer(1, "one") + answer(5, "three")));
  CHECK(session.answers.all[1] == Answered{0, 0, "", "one"});
  CHECK(session.answers.all[2] == Answered{2, 0, "", "three"});
}

TEST_CASE("a status is told with its message, whether an answer came before or not") {
  Session session;
  session.begin(1, "x");
  session.begin(2, "x");
  CHECK(session.channel.receive(head(1) + trailers(1, "14", "full")));
  std::string block = "\x88";
  block += literal("grpc-status", "3");
  CHECK(session.channel.receive(frame(kHeadersFrame, kEndHeaders | kEndStream, 3, block)));
  CHECK(session.answers.all == std::vector<Answered>{{1, 14, "full", ""}, {2, 3, "", ""}});
}

TEST_CASE("calls that end in any other way are failures of their own kinds") {
  Session session;
  for (uint32_t ticket = 0; ticket < 5; ++ticket) session.begin(ticket, "x");
  CHECK(session.channel.receive(frame(kResetFrame, 0, 1, big_endian(7, 4))));
  CHECK(session.channel.receive(head(3) + frame(kDataFrame, kEndStream, 3, prefixed("no status"))));
  CHECK(session.channel.receive(head(5) + frame(kDataFrame, 0, 5, "\0\0\0\0\x09short") + trailers(5, "0")));
  CHECK(session.channel.receive(head(7) + frame(kDataFrame, 0, 7, prefixed("a") + prefixed("b")) + trailers(7, "0")));
  CHECK(session.channel.receive(frame(kHeadersFrame, kEndHeaders | kEndStream, 9, "\x8d")));  // :status 404
  std::vector<int> codes;
  for (const Answered& each : session.answers.all) codes.push_back(each.code);
  CHECK(codes == std::vector<int>{kConnectionFailed, kBadAnswer, kBadAnswer, kBadAnswer, 2});
  CHECK(session.answers.all[0].message.find("REFUSED_STREAM") != std::string::npos);
  CHECK(session.answers.all[4].message.find("404") != std::string::npos);
}

TEST_CASE("after GOAWAY the calls that are under way end, and no other begins") {
  Session session;
  session.begin(1, "x");
  CHECK(session.channel.receive(frame(kGoawayFrame, 0, 0, big_endian(1, 4) + big_endian(0, 4))));
  CHECK(session.channel.is_closing());
  CHECK_FALSE(session.channel.has_room());
  CHECK(session.channel.receive(answer(1, "still")));
  CHECK(session.answers.all == std::vector<Answered>{{1, 0, "", "still"}});
}

TEST_CASE("what is no HTTP/2 ends the connection, and says so") {
  Answers answers;
  GrpcChannel channel(answers, kHead);
  sent_by(channel);
  std::string out;
  CHECK_FALSE((channel.receive("HTTP/1.1 400 Bad Request\r\n\r\n") && channel.send(out, SIZE_MAX)));
  CHECK(channel.failure().find("HTTP/2") != std::string::npos);
}

}  // namespace
}  // namespace npuserve::load
