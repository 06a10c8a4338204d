// Puts output tensors into a ModelInferResponse, as npuserve.service.encode does.
#include <string>
#include <string_view>

#include "core/dtype.h"
#include "wire/framing.h"
#include "wire/infer_codec.h"
#include "wire/protobuf_writer.h"

namespace npuserve::wire {
namespace {

constexpr size_t kMaxResponseBytes = 2'147'483'647;

// Numbers of ModelInferResponse and of its InferOutputTensor.
constexpr uint32_t kModelName = 1;
constexpr uint32_t kModelVersion = 2;
constexpr uint32_t kId = 3;
constexpr uint32_t kOutputs = 5;
constexpr uint32_t kRawOutputContents = 6;
constexpr uint32_t kOutputName = 1;
constexpr uint32_t kOutputDatatype = 2;
constexpr uint32_t kOutputShape = 3;

// proto3 leaves empty fields out.
size_t text_field_bytes(std::string_view text) { return text.empty() ? 0 : bytes_field_bytes(text.size()); }

void put_field(ProtobufWriter& writer, uint32_t number, std::string_view text) {
  if (!text.empty()) writer.put_text(number, text);
}

// One output's part of the response. Cheap to make, so both passes, that of sizes and that of bytes, make their own.
class OutputPart {
 public:
  OutputPart(const ModelInterface& model, size_t index, const core::OutputView& view)
      : declared_(model.outputs[index]), view_(view), shape_(view.shape()) {
    if (declared_.model_dims != declared_.dims) {
      stated_ = carry_sizes(shape_, declared_.model_dims, declared_.dims);
      shape_ = stated_;
    }
    for (const int64_t size : shape_) shape_bytes_ += varint_bytes(static_cast<uint64_t>(size));
  }
  OutputPart(const OutputPart&) = delete;
  OutputPart& operator=(const OutputPart&) = delete;

  size_t content_bytes() const { return view_.size_bytes(); }

  // Of the InferOutputTensor, without its own tag and length.
  size_t tensor_bytes() const {
    return text_field_bytes(declared_.name) + text_field_bytes(core::dtype_name(declared_.dtype)) +
           (shape_.empty() ? 0 : bytes_field_bytes(shape_bytes_));
  }

  void put_tensor(ProtobufWriter& writer) const {
    writer.put_head(kOutputs, tensor_bytes());
    put_field(writer, kOutputName, declared_.name);
    put_field(writer, kOutputDatatype, core::dtype_name(declared_.dtype));
    if (shape_.empty()) return;
    writer.put_head(kOutputShape, shape_bytes_);
    for (const int64_t size : shape_) writer.put_varint(static_cast<uint64_t>(size));
  }

  void put_content(ProtobufWriter& writer) const {
    const size_t bytes = content_bytes();
    writer.put_head(kRawOutputContents, bytes);
    view_.copy_to(writer.advance(bytes));
  }

 private:
  const DeclaredTensor& declared_;
  const core::OutputView& view_;
  std::span<const int64_t> shape_;
  core::Shape stated_;
  size_t shape_bytes_ = 0;
};

class Response {
 public:
  Response(const ModelInterface& model, std::string_view id, const std::vector<bool>& wanted,
           std::span<const core::OutputView> outputs)
      : model_(model), id_(id), wanted_(wanted), outputs_(outputs) {
    message_bytes_ = text_field_bytes(model.name) + text_field_bytes(model.version) + text_field_bytes(id);
    for_each_wanted([this](const OutputPart& part) {
      content_bytes_ += part.content_bytes();
      message_bytes_ += bytes_field_bytes(part.tensor_bytes()) + bytes_field_bytes(part.content_bytes());
    });
  }

  size_t content_bytes() const { return content_bytes_; }

  Buffer framed() const {
    Buffer buffer(kPrefixBytes + message_bytes_);
    buffer.resize(buffer.capacity());
    write_prefix(buffer.data(), false, message_bytes_);
    ProtobufWriter writer(buffer.data() + kPrefixBytes);
    put_field(writer, kModelName, model_.name);
    put_field(writer, kModelVersion, model_.version);
    put_field(writer, kId, id_);
    for_each_wanted([&writer](const OutputPart& part) { part.put_tensor(writer); });
    for_each_wanted([&writer](const OutputPart& part) { part.put_content(writer); });
    return buffer;
  }

 private:
  template <typename Use>
  void for_each_wanted(const Use& use) const {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const bool wanted = wanted_.empty() ? !model_.outputs[i].name.empty() : wanted_[i];
      if (wanted) use(OutputPart(model_, i, outputs_[i]));
    }
  }

  const ModelInterface& model_;
  std::string_view id_;
  const std::vector<bool>& wanted_;
  std::span<const core::OutputView> outputs_;
  size_t content_bytes_ = 0;
  size_t message_bytes_ = 0;
};

}  // namespace

Buffer encode_response(const ModelInterface& model, std::string_view id, const std::vector<bool>& wanted,
                       std::span<const core::OutputView> outputs, core::Status& status) {
  const Response response(model, id, wanted, outputs);
  if (response.content_bytes() > kMaxResponseBytes) {
    status = core::Status(core::StatusCode::kInvalidArgument,
                          "Response has byte size " + std::to_string(response.content_bytes()) +
                              " which exceeds gRPC's byte size limit " + std::to_string(kMaxResponseBytes) + ".");
    return {};
  }
  return response.framed();
}

}  // namespace npuserve::wire
