// A rule that random events must not break.
#pragma once

#include <stdexcept>

namespace npuserve::batching::test {

class BrokenRule : public std::logic_error {
  using logic_error::logic_error;
};

// text: what holds if nothing is broken.
inline void rule(bool holds, const char* text) {
  if (!holds) throw BrokenRule(text);
}

}  // namespace npuserve::batching::test
