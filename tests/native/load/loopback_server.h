// A server on the loopback for one test: every part that it receives goes to `answer`, which says what to send back.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace npuserve::load {

class LoopbackServer {
 public:
  // Nothing: the connection is closed. A connection at a time.
  using Answer = std::function<std::optional<std::string>(std::string_view received)>;

  explicit LoopbackServer(Answer answer) : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    ::bind(listener_, generic, size);
    ::listen(listener_, 8);
    ::getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }

  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  // The clients must be gone.
  ~LoopbackServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  uint16_t port() const { return port_; }

 private:
  void run() {
    for (int connection = 0; (connection = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(connection)) {
      std::array<char, 65536> buffer{};
      for (ssize_t got = 0; (got = ::recv(connection, buffer.data(), buffer.size(), 0)) > 0;) {
        const auto reply = answer_({buffer.data(), static_cast<size_t>(got)});
        if (!reply) break;
        ::send(connection, reply->data(), reply->size(), MSG_NOSIGNAL);
      }
    }
  }

  Answer answer_;
  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace npuserve::load
