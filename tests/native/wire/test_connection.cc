#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "connection_pair.h"

namespace npuserve::wire {

using Events = std::vector<std::string>;

TEST_CASE("a unary call is heard and answered") {
  ConnectionPair pair;
  const int32_t call = pair.client.open("/a.B/C", {{"key", "value"}});
  pair.client.send(call, framed("hello"), true);
  pair.exchange();
  CHECK(pair.take_events() == Events{"1 started /a.B/C", "1 message hello", "1 half-closed"});
  REQUIRE(pair.server->head(call) != nullptr);
  CHECK(pair.server->head(call)->metadata == Metadata{{"key", "value"}});
  CHECK(pair.server->open_calls() == 1);

  pair.reply(call, "world");
  pair.server->finish(call, {});
  pair.exchange();
  const Answer& answer = pair.client.answer(call);
  CHECK(answer.headers == std::vector<Field>{{":status", "200"},
                                             {"content-type", "application/grpc"},
                                             {"grpc-accept-encoding", "identity, deflate, gzip"}});
  CHECK(answer.body == framed("world"));
  CHECK(answer.trailers == std::vector<Field>{{"grpc-status", "0"}});
  CHECK(answer.is_closed);
  CHECK(answer.error_code == NGHTTP2_NO_ERROR);
  CHECK(pair.server->open_calls() == 0);
  CHECK(pair.take_events().empty());
}

}  // namespace npuserve::wire
