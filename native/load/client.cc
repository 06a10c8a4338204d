#include "load/client.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "core/clock.h"
#include "load/grpc_channel.h"
#include "load/http_channel.h"
#include "load/stream_channel.h"

namespace npuserve::load {
namespace {

constexpr size_t kReadBytes = size_t{256} * 1024;
constexpr size_t kWriteBytes = size_t{256} * 1024;

// A server that is down is asked again at this pace.
constexpr int64_t kReopenNs = 100'000'000;

constexpr size_t kEvents = 64;

std::string text_of(int error) { return std::generic_category().message(error); }

}  // namespace

Client::Client(ClientOptions options)
    : options_(std::move(options)), links_(options_.connections), next_request_(options_.first), input_(kReadBytes) {
  if (options_.requests.empty()) throw std::invalid_argument("there is no request to send");
  if (options_.connections == 0) throw std::invalid_argument("at least one connection is needed");
  if (options_.concurrency < options_.connections) {
    throw std::invalid_argument("each connection needs a request to carry");
  }
  for (uint32_t i = 0; i < options_.connections; ++i) {
    const uint32_t rest = options_.concurrency % options_.connections;
    links_[i].most_in_flight = options_.concurrency / options_.connections + (i < rest ? 1 : 0);
  }
  closed_ = options_.connections;
}

std::string Client::connect(int64_t until_ns) {
  now_ns_ = core::steady_now_ns();
  while (!all_ready() && now_ns_ < until_ns) {
    // The first refusal is told: what is not there yet is the caller's to wait for.
    if (!last_failure_.empty()) return last_failure_;
    step(until_ns, false);
  }
  if (!last_failure_.empty()) return last_failure_;
  return all_ready() ? std::string() : "the server does not answer";
}

void Client::start(int64_t start_ns) {
  if (options_.arrivals) arrivals_.emplace(*options_.arrivals, start_ns);
  std::ignore = take();
}

void Client::run(int64_t until_ns) {
  for (now_ns_ = core::steady_now_ns(); now_ns_ < until_ns;) step(until_ns, true);
}

void Client::drain(int64_t until_ns) {
  for (now_ns_ = core::steady_now_ns(); now_ns_ < until_ns && in_flight_ > 0;) step(until_ns, false);
}

const Tally& Client::take() {
  current_.behind_ns = arrivals_ ? std::max<int64_t>(0, core::steady_now_ns() - arrivals_->due_ns()) : 0;
  std::swap(current_, taken_);
  current_.latency.clear();
  current_.service.clear();
  current_.failures.clear();
  current_.sent = current_.sent_bytes = current_.received_bytes = 0;
  return taken_;
}

// Decides what to send, sends it, waits, receives.
void Client::step(int64_t until_ns, bool sends) {
  reopen();
  if (sends) dispatch();
  flush();
  std::array<epoll_event, kEvents> events{};
  const auto found = poll_.wait(events, now_ns_, sends ? wake_ns(until_ns) : until_ns);
  now_ns_ = core::steady_now_ns();
  for (const epoll_event& event : found) {
    if (event.data.u32 != Poll::kTimerKey) handle(event.data.u32, event.events);
  }
  flush();
}

int64_t Client::wake_ns(int64_t until_ns) const {
  // Without room, only an answer can change anything.
  if (arrivals_ && !listed_.empty()) until_ns = std::min(until_ns, arrivals_->due_ns());
  if (closed_ > 0) {
    for (const Link& link : links_) {
      if (!link.socket) until_ns = std::min(until_ns, link.reopen_ns);
    }
  }
  return until_ns;
}

bool Client::may_begin(const Link& link) const {
  return link.channel != nullptr && link.is_connected && link.in_flight < link.most_in_flight &&
         link.channel->has_room();
}

// Links take turns, so that all connections carry the same.
void Client::dispatch() {
  while (!listed_.empty()) {
    const int64_t due_ns = arrivals_ ? arrivals_->due_ns() : now_ns_;
    if (due_ns > now_ns_) return;
    const uint32_t number = listed_.front();
    listed_.pop_front();
    Link& link = links_[number];
    link.is_listed = false;
    if (!may_begin(link)) continue;
    begin(link, number, due_ns);
    if (arrivals_) arrivals_->advance();
    list(number);
  }
}

void Client::begin(Link& link, uint32_t number, int64_t due_ns) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(flights_.size()));
    flights_.emplace_back();
  }
  const uint32_t ticket = free_.back();
  free_.pop_back();
  const size_t request = next_request_ % options_.requests.size();
  next_request_ = request + options_.step;
  flights_[ticket] = {
      .link = number, .request = static_cast<uint32_t>(request), .is_live = true, .due_ns = due_ns, .sent_ns = now_ns_};
  ++link.in_flight;
  ++in_flight_;
  ++current_.sent;
  current_.sent_bytes += options_.requests[request].size();
  link.channel->begin(ticket, options_.requests[request]);
  touch(number);
}

void Client::on_answer(uint32_t ticket, const Outcome& outcome, std::string_view body) {
  const Flight& flight = flights_[ticket];
  if (outcome.code == 0) {
    current_.latency.record(now_ns_ - flight.due_ns);
    current_.service.record(now_ns_ - flight.sent_ns);
    current_.received_bytes += body.size();
    if (flight.request < options_.kept_answers) answers_.try_emplace(flight.request, body);
  } else {
    fail(outcome.code, outcome.message);
  }
  finish(ticket);
}

void Client::finish(uint32_t ticket) {
  Flight& flight = flights_[ticket];
  flight.is_live = false;
  free_.push_back(ticket);
  --links_[flight.link].in_flight;
  --in_flight_;
  list(flight.link);
}

void Client::fail(int code, std::string_view message) {
  Failures& failures = current_.failures[code];
  if (failures.count++ == 0) failures.example = message;
}

void Client::list(uint32_t number) {
  if (std::exchange(links_[number].is_listed, true)) return;
  listed_.push_back(number);
}

void Client::touch(uint32_t number) {
  if (std::exchange(links_[number].is_dirty, true)) return;
  dirty_.push_back(number);
}

void Client::flush() {
  // What is written may touch a link again; it is then at the end.
  for (size_t i = 0; i < dirty_.size(); ++i) {
    const uint32_t number = dirty_[i];
    links_[number].is_dirty = false;
    write(number);
  }
  dirty_.clear();
}

void Client::write(uint32_t number) {
  Link& link = links_[number];
  if (!link.socket || !link.is_connected) return;
  for (;;) {
    if (link.written == link.out.size()) {
      link.out.clear();
      link.written = 0;
      if (!link.channel->send(link.out, kWriteBytes)) return close(number, link.channel->failure());
      if (link.out.empty()) break;
    }
    const Transfer sent = link.socket->write(std::string_view(link.out).substr(link.written));
    if (sent.failure != 0) return close(number, text_of(sent.failure));
    link.written += sent.bytes;
    if (link.written < link.out.size()) break;
  }
  const bool waits = link.written < link.out.size();
  if (waits != link.waits_to_write) {
    link.waits_to_write = waits;
    poll_.change(link.socket->number(), number, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

void Client::handle(uint32_t number, uint32_t events) {
  Link& link = links_[number];
  if (!link.socket) return;
  if (!link.is_connected) {
    const int failure = link.socket->connect_failure();
    if (failure != 0) return close(number, text_of(failure));
    link.is_connected = true;
    link.waits_to_write = true;  // as it is registered
    touch(number);
    list(number);
    return;
  }
  if ((events & EPOLLOUT) != 0) touch(number);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(number);
}

void Client::read(uint32_t number) {
  Link& link = links_[number];
  const Transfer got = link.socket->read(input_);
  if (got.failure != 0) return close(number, text_of(got.failure));
  if (got.ended) return close(number, "the server closed the connection");
  if (got.bytes == 0) return;
  const bool was_ready = link.channel->is_ready();
  if (!link.channel->receive({input_.data(), got.bytes})) return close(number, link.channel->failure());
  // The greeting makes room, and so may new settings.
  if (!was_ready || link.in_flight < link.most_in_flight) list(number);
  touch(number);
  if (link.channel->is_closing() && link.in_flight == 0) close(number, {});
}

// Requests on it have failed. If there are none, the server may close: it has been idle, or has said that it would.
void Client::close(uint32_t number, const std::string& why) {
  Link& link = links_[number];
  const bool was_expected = link.is_connected && link.channel->is_ready() && link.in_flight == 0;
  for (uint32_t ticket = 0; ticket < flights_.size() && link.in_flight > 0; ++ticket) {
    if (!flights_[ticket].is_live || flights_[ticket].link != number) continue;
    fail(kConnectionFailed, why);
    finish(ticket);
  }
  if (!link.is_connected) fail(kConnectionFailed, why);
  if (!was_expected) last_failure_ = why;
  link.reopen_ns = now_ns_ + (was_expected ? 0 : kReopenNs);
  link.socket.reset();
  link.channel.reset();
  link.out.clear();
  link.written = 0;
  link.is_connected = link.waits_to_write = false;
  ++closed_;
}

void Client::reopen() {
  if (closed_ == 0) return;
  for (uint32_t number = 0; number < links_.size(); ++number) {
    if (!links_[number].socket && links_[number].reopen_ns <= now_ns_) open(number);
  }
}

void Client::open(uint32_t number) {
  Link& link = links_[number];
  --closed_;
  ChannelSink& sink = *this;
  switch (options_.protocol) {
    case Protocol::kGrpc:
      link.channel = std::make_unique<GrpcChannel>(sink, options_.head);
      break;
    case Protocol::kGrpcStream:
      link.channel = std::make_unique<StreamChannel>(sink, options_.head, link.most_in_flight);
      break;
    case Protocol::kHttp:
      link.channel = std::make_unique<HttpChannel>(sink);
      break;
  }
  try {
    link.socket = std::make_unique<Socket>(options_.address, options_.port);
  } catch (const std::system_error& error) {
    return close(number, error.what());
  }
  poll_.add(link.socket->number(), number, EPOLLIN | EPOLLOUT);
}

bool Client::all_ready() const {
  return std::ranges::all_of(links_, [](const Link& link) {
    return link.channel != nullptr && link.is_connected && link.channel->is_ready();
  });
}

}  // namespace npuserve::load
