// The load of one process: some connections, one thread, a closed or an open loop.
//
// Closed: so many requests are always under way; each answer lets the next one go. Open: requests are due at times that
// do not depend on answers; one that finds no room goes as soon as there is some, and its latency counts from when it
// was due.
//
// One thread. `run` may be called again and again: answers that come between two calls are counted by the next.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "load/arrivals.h"
#include "load/channel.h"
#include "load/h2_client.h"
#include "load/link.h"
#include "load/socket.h"
#include "load/tally.h"

namespace npuserve::load {

enum class Protocol { kGrpc, kGrpcStream, kHttp };

struct ClientOptions {
  std::string address;  // numeric
  uint16_t port = 0;
  Protocol protocol = Protocol::kGrpc;
  Fields head;                        // of every gRPC call
  std::vector<std::string> requests;  // prepared for the protocol, sent in turn; at least one
  uint32_t connections = 1;
  uint32_t concurrency = 1;                // requests in flight at most: what a closed loop keeps up
  uint32_t first = 0;                      // request to begin with
  uint32_t step = 1;                       // to the next: processes that share the requests take turns
  uint32_t kept_answers = 0;               // the first answers to so many requests are kept
  std::optional<ArrivalOptions> arrivals;  // none: a closed loop
};

class Client final : private ChannelSink {
 public:
  // Throws std::invalid_argument, std::system_error.
  explicit Client(ClientOptions options);

  // Connects all; empty, or why it cannot be done by `until_ns`, a steady time.
  std::string connect(int64_t until_ns);

  // The open loop's first request is due from here on.
  void start(int64_t start_ns);

  // Sends and receives until a steady time. REQUIRES: start.
  void run(int64_t until_ns);

  // Receives what is still to come, but sends no more, until all have their answer or a steady time.
  void drain(int64_t until_ns);

  // What was counted since the last time. The reference is good until the next call of anything.
  const Tally& take();

  uint32_t in_flight() const { return in_flight_; }
  const std::map<uint32_t, std::string>& answers() const { return answers_; }

 private:
  struct Flight {
    uint32_t link = 0;
    uint32_t request = 0;
    bool is_live = false;
    int64_t due_ns = 0;
    int64_t sent_ns = 0;
  };

  void on_answer(uint32_t ticket, const Outcome& outcome, std::string_view body) override;

  void step(int64_t until_ns, bool sends);
  void dispatch();
  void begin(Link& link, uint32_t number, int64_t due_ns);
  bool may_begin(const Link& link) const;
  void list(uint32_t number);
  void touch(uint32_t number);
  void flush();
  void write(uint32_t number);
  void handle(uint32_t number, uint32_t events);
  void read(uint32_t number);
  void open(uint32_t number);
  void reopen();
  void close(uint32_t number, const std::string& why);
  void fail(int code, std::string_view message);
  void finish(uint32_t ticket);
  bool all_ready() const;
  int64_t wake_ns(int64_t until_ns) const;

  ClientOptions options_;
  Poll poll_;
  std::vector<Link> links_;
  std::vector<uint32_t> dirty_;
  std::deque<uint32_t> listed_;
  std::vector<Flight> flights_;
  std::vector<uint32_t> free_;
  std::optional<Arrivals> arrivals_;
  uint32_t in_flight_ = 0;
  uint32_t closed_ = 0;  // links without a socket
  size_t next_request_;
  int64_t now_ns_ = 0;
  std::vector<char> input_;
  std::string last_failure_;
  std::map<uint32_t, std::string> answers_;
  Tally current_;
  Tally taken_;
};

}  // namespace npuserve::load
