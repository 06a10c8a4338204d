#include "core/tensor_view.h"

#include <array>

#include "core/block_copy.h"

namespace npuserve::core {

size_t OutputView::size_bytes() const { return static_cast<size_t>(element_count(shape_)) * element_bytes_; }

void OutputView::copy_to(std::byte* to) const {
  constexpr std::array<std::byte, 8> kZeros{};
  copy_block(to, shape_, data_, padded_shape_, filled_shape_, std::span(kZeros).first(element_bytes_));
}

}  // namespace npuserve::core
