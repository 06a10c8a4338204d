#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "answers.h"
#include "load/stream_channel.h"
#include "server_frames.h"

namespace npuserve::load {
namespace {

const Fields kHead{
    {":method", "POST"}, {":scheme", "http"}, {":path", "/s/m"}, {":authority", "a"}, {"te", "trailers"}};

std::string field(int number, std::string_view value) {
  std::string text;
  text += static_cast<char>(number << 3 | 2);
  text += static_cast<char>(value.size());
  text += value;
  return text;
}

std::string data(uint32_t stream_id, std::string_view message) {
  return frame(kDataFrame, 0, stream_id, prefixed(message));
}

struct Session {
  explicit Session(uint32_t calls = 2) : channel(answers, kHead, calls) {
    sent_by(channel);
    REQUIRE(channel.receive(greeting(100)));
    sent_by(channel);
  }

  std::vector<Frame> begin(uint32_t ticket, std::string_view request) {
    channel.begin(ticket, request);
    return frames_of(sent_by(channel));
  }

  Answers answers;
  StreamChannel channel;
};

TEST_CASE("requests share a call that stays open, one after the other") {
  Session session(1);
  auto frames = session.begin(1, "first");
  REQUIRE(frames.size() == 2);
  CHECK(frames[1].payload == "first");
  CHECK((frames[1].flags & kEndStream) == 0);
  CHECK_FALSE(session.channel.has_room());
  CHECK(session.channel.receive(head(1) + data(1, field(2, "one"))));
  CHECK(session.channel.has_room());
  frames = session.begin(2, "second");
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].stream_id == 1);
  CHECK(frames[0].payload == "second");
  CHECK(session.channel.receive(data(1, field(2, "two"))));
  CHECK(session.answers.all == std::vector<Answered>{{1, 0, "", "one"}, {2, 0, "", "two"}});
}

TEST_CASE("as many calls are opened as requests are under way at once") {
  Session session(2);
  session.begin(1, "a");
  CHECK(session.channel.has_room());
  CHECK(session.begin(2, "b")[0].stream_id == 3);
  CHECK_FALSE(session.channel.has_room());
  CHECK(session.channel.receive(head(3) + data(3, field(2, "b"))));
  CHECK(session.answers.all == std::vector<Answered>{{2, 0, "", "b"}});
}

TEST_CASE("an error in a message is a failure, and the call goes on") {
  Session session(1);
  session.begin(1, "a");
  CHECK(session.channel.receive(head(1) + data(1, field(1, "no such tensor"))));
  CHECK(session.answers.all == std::vector<Answered>{{1, 2, "no such tensor", ""}});
  CHECK(session.begin(2, "b")[0].stream_id == 1);
}

TEST_CASE("messages may be cut anywhere") {
  const std::string bytes = head(1) + frame(kDataFrame, 0, 1, prefixed(field(2, "one")).substr(0, 3)) +
                            frame(kDataFrame, 0, 1, prefixed(field(2, "one")).substr(3));
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    Session session;
    session.begin(1, "a");
    CHECK(session.channel.receive(bytes.substr(0, cut)));
    CHECK(session.channel.receive(bytes.substr(cut)));
    REQUIRE(session.answers.all == std::vector<Answered>{{1, 0, "", "one"}});
  }
}

TEST_CASE("a call that ends takes its request with it, and the next request opens another") {
  Session session(1);
  session.begin(1, "a");
  CHECK(session.channel.receive(head(1) + trailers(1, "14", "gone")));
  CHECK(frames_of(sent_by(session.channel)).back().flags == kEndStream);
  CHECK(session.answers.all == std::vector<Answered>{{1, 14, "gone", ""}});
  CHECK(session.begin(2, "b")[0].stream_id == 3);
  CHECK(session.channel.receive(head(3) + trailers(3, "0")));
  sent_by(session.channel);
  REQUIRE(session.answers.all.size() == 2);
  CHECK(session.answers.all[1].code == kBadAnswer);
}

}  // namespace
}  // namespace npuserve::load
