#include "load/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace npuserve::load {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

struct FreeAddress {
  void operator()(addrinfo* info) const { freeaddrinfo(info); }
};

bool is_for_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (number_ >= 0) ::close(number_);
    number_ = std::exchange(other.number_, -1);
  }
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Socket::Socket(const std::string& address, uint16_t port) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) {
    throw std::invalid_argument("'" + address + "' is no numeric address");
  }
  const std::unique_ptr<addrinfo, FreeAddress> info(found);
  const int number = ::socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  descriptor_ = Descriptor(checked(number, "socket"));
  const int on = 1;
  checked(::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
  if (::connect(number, info->ai_addr, info->ai_addrlen) != 0 && errno != EINPROGRESS) {
    throw std::system_error(errno, std::generic_category(), "connect");
  }
}

int Socket::connect_failure() const {
  int failure = 0;
  socklen_t size = sizeof(failure);
  checked(::getsockopt(descriptor_.number(), SOL_SOCKET, SO_ERROR, &failure, &size), "SO_ERROR");
  return failure;
}

Transfer Socket::read(std::span<char> into) const {
  const ssize_t got = ::recv(descriptor_.number(), into.data(), into.size(), 0);
  if (got < 0) return {.bytes = 0, .ended = false, .failure = is_for_later(errno) ? 0 : errno};
  return {.bytes = static_cast<size_t>(got), .ended = got == 0, .failure = 0};
}

Transfer Socket::write(std::string_view bytes) const {
  const ssize_t sent = ::send(descriptor_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0) return {.bytes = 0, .ended = false, .failure = is_for_later(errno) ? 0 : errno};
  return {.bytes = static_cast<size_t>(sent), .ended = false, .failure = 0};
}

// The timer is a file, not epoll's timeout: that counts in milliseconds.
Poll::Poll()
    : poll_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      timer_(checked(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create")) {
  add(timer_.number(), kTimerKey, EPOLLIN);
}

void Poll::add(int descriptor, uint32_t key, uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.u32 = key;
  checked(::epoll_ctl(poll_.number(), EPOLL_CTL_ADD, descriptor, &event), "EPOLL_CTL_ADD");
}

void Poll::change(int descriptor, uint32_t key, uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.u32 = key;
  checked(::epoll_ctl(poll_.number(), EPOLL_CTL_MOD, descriptor, &event), "EPOLL_CTL_MOD");
}

std::span<const epoll_event> Poll::wait(std::span<epoll_event> events, int64_t now_ns, int64_t until_ns) {
  const bool is_over = until_ns <= now_ns;
  // Setting the timer anew also takes back that it has fired.
  if (!is_over && (armed_ns_ != until_ns || armed_ns_ <= now_ns)) {
    itimerspec at{};
    at.it_value.tv_sec = static_cast<time_t>(until_ns / kSecondNs);
    at.it_value.tv_nsec = static_cast<long>(until_ns % kSecondNs);
    checked(::timerfd_settime(timer_.number(), TFD_TIMER_ABSTIME, &at, nullptr), "timerfd_settime");
    armed_ns_ = until_ns;
  }
  const int found = ::epoll_wait(poll_.number(), events.data(), static_cast<int>(events.size()), is_over ? 0 : -1);
  if (found < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "epoll_wait");
  return events.first(static_cast<size_t>(found < 0 ? 0 : found));
}

}  // namespace npuserve::load
