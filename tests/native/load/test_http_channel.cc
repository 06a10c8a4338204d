#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "answers.h"
#include "load/http_channel.h"

namespace npuserve::load {
namespace {

constexpr std::string_view kRequest = "POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Type: x\r\ncontent-length:  5 \r\n\r\nhello";

TEST_CASE("a request goes out whole, and one at a time") {
  Answers answers;
  HttpChannel channel(answers);
  CHECK(channel.has_room());
  channel.begin(4, kRequest);
  CHECK_FALSE(channel.has_room());
  CHECK(sent_by(channel) == kRequest);
  CHECK(sent_by(channel).empty());
  CHECK(channel.receive(kAnswer));
  CHECK(answers.all == std::vector<Answered>{{4, 0, "", "hello"}});
  CHECK(channel.has_room());
}

TEST_CASE("a long request goes out in parts of the size that is asked for") {
  Answers answers;
  HttpChannel channel(answers);
  channel.begin(0, kRequest);
  std::string out;
  channel.send(out, 10);
  CHECK(out == kRequest.substr(0, 10));
  channel.send(out, 10);
  CHECK(out.size() == 10);
}

TEST_CASE("an answer may come in any two parts") {
  for (size_t cut = 1; cut < kAnswer.size(); ++cut) {
    Answers answers;
    HttpChannel channel(answers);
    channel.begin(1, kRequest);
    CHECK(channel.receive(kAnswer.substr(0, cut)));
    CHECK(answers.all.empty());
    CHECK(channel.receive(kAnswer.substr(cut)));
    REQUIRE(answers.all == std::vector<Answered>{{1, 0, "", "hello"}});
  }
}

TEST_CASE("an error is told by its status and its body") {
  Answers answers;
  HttpChannel channel(answers);
  channel.begin(1, kRequest);
  CHECK(channel.receive("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nfull"));
  CHECK(answers.all == std::vector<Answered>{{1, 503, "full", ""}});
}

TEST_CASE("no request goes after an answer that closes the connection") {
  Answers answers;
  HttpChannel channel(answers);
  channel.begin(1, kRequest);
  CHECK(channel.receive("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"));
  CHECK(answers.all.size() == 1);
  CHECK(channel.is_closing());
  CHECK_FALSE(channel.has_room());
}

TEST_CASE("what cannot be read ends the connection, and says why") {
  for (const std::string_view bad : {
           "SSH-2.0-OpenSSH_9.2\r\n\r\n",
           "HTTP/1.1 2xx OK\r\n\r\n",
           "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlong",
       }) {
    Answers answers;
    HttpChannel channel(answers);
    channel.begin(1, kRequest);
    CHECK_FALSE(channel.receive(bad));
    CHECK_FALSE(channel.failure().empty());
    CHECK(answers.all.empty());
  }
  Answers answers;
  HttpChannel unasked(answers);
  CHECK_FALSE(unasked.receive("HTTP/1.1 408 Timeout\r\n\r\n"));
  HttpChannel endless(answers);
  endless.begin(1, kRequest);
  CHECK_FALSE(endless.receive(std::string(100'000, 'a')));
}

}  // namespace
}  // namespace npuserve::load
