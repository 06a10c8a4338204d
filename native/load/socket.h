// A TCP socket that never blocks, owned; and epoll with a timer, owned.
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace npuserve::load {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int number() const { return number_; }

 private:
  int number_ = -1;
};

// Bytes of one read or write. `failure`: an errno; 0 if there is none. No bytes and no failure: not now.
struct Transfer {
  size_t bytes = 0;
  bool ended = false;  // the peer sends no more
  int failure = 0;
};

class Socket {
 public:
  // Starts to connect. address: numeric, IPv4 or IPv6. Throws std::system_error, std::invalid_argument.
  Socket(const std::string& address, uint16_t port);

  int number() const { return descriptor_.number(); }
  // Why connecting failed, once the socket is writable; 0 if it did not.
  int connect_failure() const;
  Transfer read(std::span<char> into) const;
  Transfer write(std::string_view bytes) const;

 private:
  Descriptor descriptor_;
};

class Poll {
 public:
  // Throws std::system_error, as all of it does.
  Poll();

  void add(int descriptor, uint32_t key, uint32_t events) const;
  void change(int descriptor, uint32_t key, uint32_t events) const;

  // Blocks until an event or `until_ns`, a steady time.
  std::span<const epoll_event> wait(std::span<epoll_event> events, int64_t now_ns, int64_t until_ns);

  static constexpr uint32_t kTimerKey = UINT32_MAX;

 private:
  Descriptor poll_;
  Descriptor timer_;
  int64_t armed_ns_ = 0;
};

}  // namespace npuserve::load
